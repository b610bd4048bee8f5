//! Watches, and what may become of them.

use super::*;

#[tokio::test]
async fn a_watch_tells_every_change_in_order_and_bookmarks() {
    let cluster = Cluster::new();
    let configs: Api<ConfigMap> = api(&cluster.connect("op").client());
    let from = cluster.version().to_string();
    let params = WatchParams::default().labels("app=x");
    let mut events = configs.watch(&params, &from).await.unwrap().boxed();
    let mut labelled = config("a", json!({}));
    labelled.labels_mut().insert("app".into(), "x".into());
    cluster.create(&config("unseen", json!({})));
    cluster.create(&labelled);
    cluster.edit::<ConfigMap>("default", "a", |config| config["data"] = json!({"k": "v"}));
    cluster.edit::<ConfigMap>("default", "a", |c| c["metadata"]["labels"] = json!({}));
    cluster.bookmark();
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(object) => format!("added {}", object.name_any()),
            WatchEvent::Modified(object) => format!("modified {}", object.name_any()),
            WatchEvent::Deleted(object) => format!("deleted {}", object.name_any()),
            WatchEvent::Bookmark(mark) => format!("bookmark {}", mark.metadata.resource_version),
            WatchEvent::Error(status) => format!("error {}", status.code),
        });
    }
    let bookmark = format!("bookmark {}", cluster.version());
    assert_eq!(told, ["added a", "modified a", "deleted a", &bookmark]);
}

#[tokio::test]
async fn a_watch_from_forgotten_history_is_gone() {
    let cluster = Cluster::new();
    let configs: Api<ConfigMap> = api(&cluster.connect("op").client());
    let from = cluster.version().to_string();
    cluster.create(&config("a", json!({})));
    cluster.compact();
    let events = configs.watch(&WatchParams::default(), &from).await.unwrap();
    let events: Vec<_> = events.try_collect().await.unwrap();
    assert!(matches!(&events[..], [WatchEvent::Error(status)] if status.code == 410), "{events:?}");
}

#[tokio::test]
async fn watches_can_be_held_and_cut_and_lists_can_be_stale() {
    let cluster = Cluster::new();
    let connection = cluster.connect("op");
    let configs: Api<ConfigMap> = api(&connection.client());
    let before = cluster.version();
    let mut events =
        configs.watch(&WatchParams::default(), &before.to_string()).await.unwrap().boxed();
    connection.hold_watches(true);
    cluster.create(&config("a", json!({})));
    assert!(futures::poll!(events.next()).is_pending());
    connection.hold_watches(false);
    assert!(matches!(events.try_next().await, Ok(Some(WatchEvent::Added(_)))));
    connection.cut_watches();
    assert!(matches!(events.try_next().await, Ok(None)));
    connection.serve_stale_lists(Some(before));
    assert_eq!(configs.list(&ListParams::default().match_any()).await.unwrap().items.len(), 0);
    assert_eq!(configs.list(&ListParams::default()).await.unwrap().items.len(), 1);
}
