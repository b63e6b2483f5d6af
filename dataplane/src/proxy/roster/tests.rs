//! What a roster refuses.

use super::*;

fn member(name: &str, weight: u16) -> Member {
    Member { name: name.into(), weight, maximum: None }
}

fn roster(members: Vec<Member>) -> Result<Roster, RosterError> {
    Roster::new(members, Choice::Source, [0; 16])
}

#[test]
fn members_are_sorted_and_checked() {
    let made = roster(vec![member("b", 0), member("c", 256), member("a", 1)]).unwrap();
    let names: Vec<_> = made.members().iter().map(|member| &*member.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let twice = roster(vec![member("b", 1), member("a", 1), member("b", 2)]);
    assert_eq!(twice.unwrap_err(), RosterError::Twice("b".into()));
    assert_eq!(roster(vec![member("a", 257)]).unwrap_err(), RosterError::Weight("a".into(), 257));
}

#[test]
fn a_group_of_256_is_the_largest() {
    let many = |count: usize| (0..count).map(|number| member(&number.to_string(), 1)).collect::<Vec<_>>();
    let largest = roster(many(256)).unwrap();
    let highest = largest.table().unwrap().entries().iter().max();
    assert_eq!(highest, Some(&255));
    assert_eq!(roster(many(257)).unwrap_err(), RosterError::TooMany(257));
}

#[test]
fn only_the_choice_by_source_pays_for_a_table() {
    for (choice, table) in
        [(Choice::RoundRobin, false), (Choice::LeastConnections, false), (Choice::Source, true)]
    {
        let made = Roster::new(vec![member("a", 1)], choice, [0; 16]).unwrap();
        assert_eq!(made.table().is_some(), table, "{choice:?}");
    }
}
