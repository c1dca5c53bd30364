//! What nobody can be quicker than: one sync of the disk, one round trip.
use anyhow::Result;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use terachat_figures::measure::Spread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TIMES: usize = 200;

/// Microseconds to append so many bytes to a file and to have them durable.
pub(crate) fn sync_micros(folder: &Path, len: usize) -> Result<Spread> {
    let mut file = File::create(folder.join("sync"))?;
    let mut micros = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        file.write_all(&vec![7; len])?;
        file.sync_data()?;
        micros.push(crate::since(begun));
    }
    Ok(Spread::of(micros))
}

/// MB/s of a file that is written in pieces of 1 MiB, each of them synced, as segments are by a node that has much to write.
pub(crate) fn written_mb(folder: &Path) -> Result<f64> {
    const PIECES: usize = 128;
    let piece = vec![7; 1 << 20];
    let mut file = File::create(folder.join("written"))?;
    let begun = Instant::now();
    for _ in 0..PIECES {
        file.write_all(&piece)?;
        file.sync_data()?;
    }
    Ok((PIECES * piece.len()) as f64 / crate::since(begun))
}

/// Microseconds from so many bytes sent to a byte that came back.
pub(crate) async fn round_trip_micros(len: usize) -> Result<Spread> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut bytes = vec![0; len];
        for _ in 0..TIMES {
            stream.read_exact(&mut bytes).await?;
            stream.write_all(&[1]).await?;
        }
        anyhow::Ok(())
    });
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut micros = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        stream.write_all(&vec![7; len]).await?;
        stream.read_exact(&mut [0]).await?;
        micros.push(crate::since(begun));
    }
    echo.await??;
    Ok(Spread::of(micros))
}
