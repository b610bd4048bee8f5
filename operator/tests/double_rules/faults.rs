//! What a test can do to a process.

use super::*;

#[tokio::test]
async fn a_process_dies_at_its_nth_write() {
    for (last, stored) in [(Last::NotSent, 1), (Last::Lost, 2), (Last::Answered, 2)] {
        let cluster = Cluster::new();
        let connection = cluster.connect("op");
        let configs: Api<ConfigMap> = api(&connection.client());
        connection.die_after(2, last);
        configs.create(&PostParams::default(), &config("a", json!({}))).await.unwrap();
        configs.get("a").await.unwrap();
        let second = configs.create(&PostParams::default(), &config("b", json!({}))).await;
        assert_eq!(second.is_ok(), last == Last::Answered);
        assert!(connection.is_dead());
        assert!(configs.get("a").await.is_err());
        assert_eq!(cluster.list::<ConfigMap>("default").len(), stored, "{last:?}");
        let successor: Api<ConfigMap> = api(&cluster.connect("op").client());
        successor.get("a").await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_request_changes_nothing() {
    let cluster = Cluster::new();
    let connection = cluster.connect("op");
    let configs: Api<ConfigMap> = api(&connection.client());
    connection.refuse(|request| (request.method == "POST").then_some(503));
    let made = configs.create(&PostParams::default(), &config("a", json!({}))).await;
    assert_eq!(refused(made).0, 503);
    assert_eq!(refused(configs.get("a").await).0, 404);
    connection.refuse_nothing();
    configs.create(&PostParams::default(), &config("a", json!({}))).await.unwrap();
    let codes: Vec<_> = connection.requests().iter().map(|request| request.status).collect();
    assert_eq!(codes, [503, 404, 201]);
}

#[tokio::test]
async fn two_holders_of_a_lease_cannot_both_win() {
    let cluster = Cluster::new();
    let lease = |holder: &str| {
        object::<Lease>(json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": holder}}))
    };
    let made = cluster.create(&lease("nobody"));
    let take = async |holder: &str| {
        let leases: Api<Lease> = api(&cluster.connect(holder).client());
        let mut mine = lease(holder);
        mine.meta_mut().resource_version = made.resource_version();
        leases.replace("l", &PostParams::default(), &mine).await
    };
    take("a").await.unwrap();
    assert_eq!(refused(take("b").await).0, 409);
}
