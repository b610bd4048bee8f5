//! What every store has to do; run on each.

use std::sync::Arc;

use bytes::Bytes;

use crate::Nonces;
use crate::store::{Created, ErrorKind, Scoped, Store, probe};

/// Runs the suite below a fresh folder.
///
/// # Errors
/// Says which promise is broken, or which call failed.
pub async fn conformance(store: Arc<dyn Store>) -> Result<(), String> {
    let folder = format!("conformance-{}", Nonces::random().draw());
    let store: Arc<dyn Store> = Arc::new(Scoped::new(store, &folder));
    probe(store.as_ref(), &Nonces::random()).await.map_err(|e| e.to_string())?;
    one_of_many_creators_wins(&store).await?;
    listings_are_complete(store.as_ref()).await?;
    objects_read_as_written(store.as_ref()).await?;
    let failed = |e: crate::StoreError| e.to_string();
    for name in store.list("a", None).await.map_err(failed)? {
        store.delete(&name).await.map_err(failed)?;
    }
    check(store.list("a", None).await.map_err(failed)?.is_empty(), "deleted names are listed")
}

fn check(holds: bool, broken: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(broken.to_owned()) }
}

async fn one_of_many_creators_wins(store: &Arc<dyn Store>) -> Result<(), String> {
    for round in 0..10 {
        let name = format!("a/race/{round}");
        let creators = (0..8_u8).map(|i| {
            let (store, name) = (store.clone(), name.clone());
            async move { store.create_if_absent(&name, Bytes::from(vec![i; 1000])).await }
        });
        let answers = futures::future::join_all(creators).await;
        let winners: Vec<usize> = answers
            .iter()
            .enumerate()
            .filter(|(_, a)| matches!(a, Ok(Created::Created)))
            .map(|(i, _)| i)
            .collect();
        check(winners.len() <= 1, "two creators of one name won")?;
        let held = store.get(&name).await.map_err(|e| e.to_string())?;
        if let Some(&winner) = winners.first() {
            check(
                held == Some(vec![winner as u8; 1000].into()),
                "the winner's bytes are not there",
            )?;
        }
    }
    Ok(())
}

async fn listings_are_complete(store: &dyn Store) -> Result<(), String> {
    let failed = |e: crate::StoreError| e.to_string();
    for n in 1..=25_u32 {
        let name = format!("a/chain/{n:020}");
        store.create_if_absent(&name, Bytes::from_static(b"x")).await.map_err(failed)?;
        let after = format!("a/chain/{:020}", n - 1);
        let above = store.list("a/chain", Some(&after)).await.map_err(failed)?;
        check(above == [name.clone()], "a listing does not show exactly the name just created")?;
        let above = store.list("a/chain", Some(&name)).await.map_err(failed)?;
        check(above.is_empty(), "a listing shows the name that it should start after")?;
    }
    let all = store.list("a/chain", None).await.map_err(failed)?;
    check(all.len() == 25, "a listing is not complete")?;
    store.put("a/chain-like", Bytes::new()).await.map_err(failed)?;
    let all = store.list("a/chain", None).await.map_err(failed)?;
    check(all.len() == 25, "a listing shows a name that only begins like the folder")?;
    let none = store.list("a/nothing", None).await.map_err(failed)?;
    check(none.is_empty(), "a listing of an absent folder is not empty")
}

async fn objects_read_as_written(store: &dyn Store) -> Result<(), String> {
    let failed = |e: crate::StoreError| e.to_string();
    let name = "a/data/object";
    check(store.get(name).await.map_err(failed)?.is_none(), "an absent object has bytes")?;
    let absent = store.get_range(name, 0..1).await;
    let absent = absent.err().map(|e| e.kind);
    check(absent == Some(ErrorKind::NotFound), "a range of an absent object is not NotFound")?;
    let bytes: Bytes = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    store.put(name, bytes.clone()).await.map_err(failed)?;
    check(store.get(name).await.map_err(failed)? == Some(bytes.clone()), "bytes differ")?;
    let range = store.get_range(name, 1_000..70_000).await.map_err(failed)?;
    check(range == bytes.slice(1_000..70_000), "a range differs")?;
    let beyond = store.get_range(name, 799_999..800_001).await;
    check(beyond.is_err(), "a range beyond the end is no error")?;
    store.put(name, Bytes::from_static(b"new")).await.map_err(failed)?;
    let read = store.get(name).await.map_err(failed)?;
    check(read.as_deref() == Some(b"new"), "put does not replace")?;
    store.delete(name).await.map_err(failed)?;
    store.delete(name).await.map_err(|e| format!("deleting twice is an error: {e}"))?;
    check(store.get(name).await.map_err(failed)?.is_none(), "a deleted object has bytes")
}
