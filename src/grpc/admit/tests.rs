use super::*;

const HOLD: &str = "/holdfast.v1.ReservationService/Hold";
const CONFIRM: &str = "/holdfast.v1.ReservationService/Confirm";
const STREAM: &str = "/holdfast.v1.ReservationService/StreamSeatUpdates";
const CREATE: &str = "/holdfast.v1.CatalogService/CreateEvent";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Room for eight calls, of which one caller may have four and one method six; for six
/// streams, of which one caller may have two.
fn small() -> Limits {
    Limits {
        max_calls: 8,
        max_calls_per_caller: Some(4),
        max_calls_per_method: Some(6),
        max_streams: 6,
        max_streams_per_caller: Some(2),
        ..Limits::default()
    }
}

fn enter(admit: &Arc<Admit>, path: &str, name: &str) -> Result<Pass, Limit> {
    let caller = Caller { name: Some(name.into()), role: Role::Operator, bound_to: None };
    let peer = Peer { addr: "127.0.0.1:1".parse().unwrap(), names: Vec::new() };
    admit.enter(admit.method(path).clone(), &caller, &peer).map_err(|shed| shed.limit)
}

fn fill(admit: &Arc<Admit>, path: &str, name: &str, count: usize) -> Vec<Pass> {
    let passes = (0..count).map(|_| enter(admit, path, name));
    passes.collect::<Result<_, _>>().expect("there is room")
}

#[test]
fn each_limit_counts_to_its_edge_and_what_has_ended_counts_no_more() {
    let admit = Admit::new(&small());
    let mut anns = fill(&admit, HOLD, "ann", 4);
    assert_eq!(enter(&admit, CONFIRM, "ann").err(), Some(Limit::CallsPerCaller));
    let bobs = fill(&admit, HOLD, "bob", 2);
    assert_eq!(enter(&admit, HOLD, "bob").err(), Some(Limit::CallsPerMethod));
    let sales = fill(&admit, CONFIRM, "bob", 2);
    assert_eq!(enter(&admit, CONFIRM, "cid").err(), Some(Limit::Calls));
    // What was refused has left nothing behind.
    anns.pop();
    drop(sales);
    let again = [fill(&admit, HOLD, "cid", 1), fill(&admit, CONFIRM, "cid", 2)];
    assert_eq!(enter(&admit, CONFIRM, "cid").err(), Some(Limit::Calls));
    drop((anns, bobs, again));
    let all = &admit.counts[Kind::Unary as usize].in_flight;
    assert_eq!(all.load(Relaxed), 0);
}

#[test]
fn streams_and_calls_take_no_room_from_each_other() {
    let admit = Admit::new(&small());
    let streams = ["ann", "bob", "cid"].map(|name| fill(&admit, STREAM, name, 2));
    assert_eq!(enter(&admit, STREAM, "ann").err(), Some(Limit::StreamsPerCaller));
    assert_eq!(enter(&admit, STREAM, "dan").err(), Some(Limit::Streams));
    let calls = [fill(&admit, HOLD, "ann", 4), fill(&admit, CONFIRM, "bob", 4)];
    assert_eq!(enter(&admit, HOLD, "dan").err(), Some(Limit::Calls));
    // Who operates is let in all the same, to an edge of his own.
    let _operators = fill(&admit, CREATE, "ann", MAX_OPERATOR_CALLS);
    assert_eq!(enter(&admit, CREATE, "ann").err(), Some(Limit::OperatorCalls));
    drop(streams);
    drop(calls);
}

#[test]
fn what_strangers_may_has_edges_of_its_own_and_none_takes_all() {
    let admit = Admit::new(&small());
    let kinds = [
        (CHECK, MAX_PROBES, Limit::ProbesPerCaller, Limit::Probes),
        (WATCH, MAX_WATCHES, Limit::WatchesPerCaller, Limit::Watches),
        (REFLECTION, MAX_REFLECTIONS, Limit::ReflectionsPerCaller, Limit::Reflections),
    ];
    let mut passes = Vec::new();
    for (path, most, of_caller, in_all) in kinds {
        passes.push(fill(&admit, path, "ann", share(most) as usize));
        assert_eq!(enter(&admit, path, "ann").err(), Some(of_caller));
        passes.push(fill(&admit, path, "bob", (most - share(most)) as usize));
        assert_eq!(enter(&admit, path, "bob").err(), Some(in_all));
    }
    let _streams = fill(&admit, STREAM, "ann", 2);
    let _calls = fill(&admit, HOLD, "ann", 4);
}

#[test]
fn a_caller_has_so_many_calls_a_second() {
    let admit = Admit::new(&Limits { max_calls_a_second_per_caller: 3, ..small() });
    for _ in 0..3 {
        drop(enter(&admit, HOLD, "ann").expect("there is room"));
    }
    let caller = Caller { name: Some("ann".into()), ..Caller::ANYBODY };
    let peer = Peer { addr: "127.0.0.1:1".parse().unwrap(), names: Vec::new() };
    let shed = admit
        .enter(admit.method(STREAM).clone(), &caller, &peer)
        .err()
        .expect("that is one too many");
    assert_eq!((shed.limit, shed.most), (Limit::CallsASecond, 3));
    assert!(shed.wait > Duration::ZERO);
    drop(enter(&admit, HOLD, "bob").expect("others have their own"));
    drop(enter(&admit, CREATE, "ann").expect("operators' calls are not counted"));
    drop(enter(&admit, WATCH, "ann").expect("nor is health"));
}

#[test]
fn every_method_is_of_a_kind() {
    let methods = methods();
    let kind = |path: &str| methods[path].kind;
    assert_eq!([HOLD, CONFIRM].map(kind), [Kind::Unary; 2]);
    assert_eq!(kind(STREAM), Kind::Stream);
    assert_eq!(kind(CREATE), Kind::Operator);
    assert_eq!(kind(CHECK), Kind::Probe);
    assert_eq!(kind(WATCH), Kind::Watch);
    assert_eq!(kind(REFLECTION), Kind::Reflection);
    let old = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    assert_eq!(kind(old), Kind::Reflection);
}
