//! The S3 server behind the proxy is what object stores are: the client that Weir uses gets
//! strict answers from it, and the proxy's lies look like a network's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};
use weir_e2e::testbed::proxy::{Fault, Proxy, Step};
use weir_e2e::testbed::s3::S3;

fn client(port: u16) -> Result<AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(S3::BUCKET)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    for (name, value) in S3::client_environment(port) {
        if name != "AWS_ENDPOINT_URL" {
            let key: AmazonS3ConfigKey = name.to_lowercase().parse()?;
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder.build()?)
}

async fn create(store: &AmazonS3, path: &Path, bytes: &'static [u8]) -> object_store::Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(path, PutPayload::from_static(bytes), options).await.map(|_| ())
}

#[tokio::test]
async fn a_create_has_one_winner_and_a_lost_answer_was_applied() -> Result<()> {
    let server = S3::start()?;
    let proxy = Proxy::start(server.port())?;
    let store = client(proxy.port())?;
    let (first, second) =
        (Path::from("state/default/j/chain/1"), Path::from("state/default/j/chain/2"));
    create(&store, &first, b"mine").await?;
    let again = create(&store, &first, b"yours").await;
    ensure!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");

    proxy.set_policy(|call| match call.step {
        Step::ChainCreate => Fault::LoseAnswer,
        _ => Fault::None,
    });
    let lost = create(&store, &second, b"lost").await;
    ensure!(lost.is_err(), "the answer was to be lost");
    let read = store.get(&second).await?.bytes().await?;
    ensure!(read == "lost", "applied all the same");
    Ok(())
}

#[tokio::test]
async fn a_late_create_lands_after_its_client_gave_up() -> Result<()> {
    let server = S3::start()?;
    let proxy = Proxy::start(server.port())?;
    let store = client(proxy.port())?;
    let path = Path::from("state/default/j/chain/1");
    let once = Arc::new(AtomicBool::new(true));
    proxy.set_policy(move |call| {
        let first = call.step == Step::ChainCreate && once.swap(false, Ordering::SeqCst);
        if first { Fault::ApplyLater(Duration::from_secs(1)) } else { Fault::None }
    });
    ensure!(create(&store, &path, b"late").await.is_err(), "the answer was to be lost");
    let head = store.get_opts(&path, GetOptions::default()).await;
    ensure!(matches!(head, Err(Error::NotFound { .. })), "not there yet: {head:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(store.get(&path).await?.bytes().await? == "late", "it came");
    Ok(())
}

#[tokio::test]
async fn uploads_in_parts_pass_and_show_only_when_completed() -> Result<()> {
    let server = S3::start()?;
    let proxy = Proxy::start(server.port())?;
    let store = client(proxy.port())?;
    let path = Path::from("out/part-1");
    let mut upload = store.put_multipart(&path).await?;
    upload.put_part(vec![b'a'; 5 << 20].into()).await?;
    upload.put_part(vec![b'b'; 1 << 20].into()).await?;
    ensure!(!server.bucket_folder().join("out/part-1").exists(), "visible before its commit");
    upload.complete().await?;
    ensure!(server.bucket_folder().join("out/part-1").metadata()?.len() == 6 << 20, "visible");
    Ok(())
}

#[tokio::test]
async fn files_put_below_the_server_are_objects() -> Result<()> {
    let server = S3::start()?;
    let proxy = Proxy::start(server.port())?;
    let store = client(proxy.port())?;
    std::fs::create_dir(server.bucket_folder().join("in"))?;
    std::fs::write(server.bucket_folder().join("in/part-0001"), "input")?;
    ensure!(store.get(&Path::from("in/part-0001")).await?.bytes().await? == "input", "readable");
    let listed = store.list_with_delimiter(Some(&Path::from("in"))).await?;
    ensure!(listed.objects.len() == 1, "{listed:?}");
    Ok(())
}
