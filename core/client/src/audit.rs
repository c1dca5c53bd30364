use crate::api::{Answer, AuditLine, AuditReport};
use crate::status::hex;
use crate::{Client, Error};

impl Client {
    pub(crate) fn audit(&mut self) -> Result<Answer, Error> {
        let found = self.store.audit_state_integrity()?;
        let logs = found
            .logs
            .iter()
            .map(|line| {
                let (space, channel) = (self.space_name(&line.log.space), self.channel_name(&line.log));
                AuditLine {
                    log: if line.log.channel.is_some() { format!("{space}/{channel}") } else { space },
                    events: line.events,
                    kept: hex(&line.kept),
                    replayed: hex(&line.replayed),
                }
            })
            .collect();
        let equivocations = self.store.equivocations().map(|(log, device, seq)| {
            format!(
                "{} signed two events numbered {seq} in {}",
                self.name_of(&log, &device),
                self.space_name(&log.space)
            )
        });
        Ok(Answer::Audit(AuditReport {
            events: found.events,
            chains: found.chains,
            signatures: found.signatures,
            logs,
            equivocations: equivocations.collect(),
            alarm: found.alarm,
        }))
    }
}
