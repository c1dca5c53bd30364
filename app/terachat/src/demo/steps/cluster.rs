use super::flow;
use crate::demo::cluster::Cluster;
use crate::demo::device::Device;
use crate::demo::promise::Promise;
use crate::demo::stage::Stage;
use crate::failure::{Failure, Result};
use serde_json::Value;

const NODES: u8 = 7;

/// Starts the organisation's storage and has every device's conversation kept in it.
pub(in crate::demo) fn store(stage: &mut Stage) -> Result<String> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(format_args!("cannot find this program: {error}"), "start it by its full path")
    })?;
    let folder = stage.folder.join("cluster");
    let mut cluster = Cluster::found(&program, folder, NODES, stage.patience)?;
    let mut bytes = 0;
    // From now on nobody is online: what devices have to say to each other goes by the cluster.
    stage.devices.iter_mut().try_for_each(Device::hush)?;
    for device in stage.remaining() {
        let file = stage.folder.join(format!("{}.bundle", device.name.to_lowercase()));
        device.attempt(&["bundle", "export", "--out", &file.display().to_string()])?.succeeded()?;
        bytes += std::fs::metadata(&file).map_or(0, |file| file.len());
        cluster.put(file)?;
    }
    let status = cluster.ask(&["status"])?;
    let profile = format!("{}+{}", status["profile"]["data"], status["profile"]["parity"]);
    stage.cluster = Some(cluster);
    Ok(format!("{bytes} bytes of {} devices on {NODES} nodes, cut {profile}", stage.remaining().len()))
}

/// Kills two nodes, the leader one of them, while messages go by them, and goes on reading and writing.
pub(in crate::demo) fn lose_two(stage: &mut Stage) -> Result<String> {
    let Some(mut cluster) = stage.cluster.take() else { return Err(absent()) };
    let folder = cluster.folder().to_owned();
    let (flow, killed) = flow::around(stage.founder(), &folder, stage.patience, || cluster.kill_two())?;
    let missing = flow::missing(&stage.devices[stage.importer()], &folder, &flow.texts)?;
    stage.check(Promise::FlowsOn, missing.is_empty(), || format!("not there: {}", missing.join(", ")));
    let mut lost = cluster.lost()?;
    let file = stage.folder.join("meanwhile");
    std::fs::write(&file, "written while two nodes were dead\n")
        .map_err(|error| Failure::file("write", &file, &error))?;
    cluster.put(file)?;
    lost.extend(cluster.lost()?);
    stage.check(Promise::TwoLost, lost.is_empty(), || lost.join(", "));
    stage.killed = killed.to_vec();
    let read = cluster.kept.len();
    stage.cluster = Some(cluster);
    Ok(format!(
        "nodes {} and {} killed; {} messages taken meanwhile, the slowest in {:.1} s, and all fetched; {read} files read, one written",
        killed[0],
        killed[1],
        flow.texts.len(),
        flow.longest.as_secs_f64()
    ))
}

/// Starts them again; what they missed is made anew, and all histories are the same.
pub(in crate::demo) fn come_back(stage: &mut Stage) -> Result<String> {
    let Some(mut cluster) = stage.cluster.take() else { return Err(absent()) };
    for node in std::mem::take(&mut stage.killed) {
        cluster.bring_back(node)?;
    }
    let answers = |status: &Value| {
        let nodes = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        nodes.len() == usize::from(NODES) && nodes.iter().all(|node| node["answers"] == true)
    };
    let status = cluster.wait(|status| status["health"]["whole"] == true && answers(status));
    stage.check(Promise::Mended, status.is_ok(), || "not all shards came back".to_owned());
    let audit = cluster.attempt(&["audit"])?;
    stage.check(Promise::Mended, audit.ok, || format!("the histories differ: {}", audit.reason()));
    let lost = cluster.lost()?;
    stage.check(Promise::Mended, lost.is_empty(), || lost.join(", "));
    let status = status?;
    Ok(format!(
        "all {} shards of {} stripes in place, {NODES} histories the same",
        status["health"]["shards"], status["stripes"]
    ))
}

fn absent() -> Failure {
    Failure::new("there is no cluster", "look at the act before")
}
