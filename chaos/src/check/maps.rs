//! An acknowledged element of a set in a map stays until it, its field or the map is removed.
//!
//! Statement: on every node in the end, the field holds the element unless its removal, or a removal of its field or
//! object that was not over when the add began, was or may have been done.
//!
//! Source: Jepsen's `checker/set-full`, one level down; nested maps are where removals that sweep more than they saw
//! lose data (Riak's maps, Automerge's early tables).

use crate::check::sight::{Sight, field, has_element};
use crate::check::{Check, Evidence, Violation};
use crate::history::Edit;

/// The checker.
pub const CHECK: Check = Check {
    name: "maps",
    statement: "an acknowledged element of a set in a map stays until it, its field or the map is removed",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let sight = Sight::of(&evidence.history);
    let mut found = Vec::new();
    for call in evidence.history.calls().iter().filter(|call| call.ok().is_some()) {
        let Some(Edit::Field(name, inner)) = call.edit() else { continue };
        let Edit::Add(element) = &**inner else { continue };
        if sight.removed(&call.key, element, None) || sight.may_be_replaced(call, None) {
            continue;
        }
        for (nodes, object) in evidence.states(&call.key) {
            let views = object.map_or(&[][..], |object| &object.views);
            if !has_element(field(views, name), element) {
                let (key, nodes) = (&call.key, nodes.join(", "));
                let what = format!("{key}.{name}: {element}, added by call {}, is not on {nodes}", call.id);
                found.push(CHECK.violated(what));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::history::View;

    fn add(element: &str) -> Edit {
        Edit::Field("f".to_owned(), Box::new(Edit::Add(element.to_owned())))
    }

    fn map(elements: &[&str]) -> View {
        let set = View::Set(elements.iter().map(|element| (*element).to_owned()).collect());
        View::Map([("f".to_owned(), vec![set])].into())
    }

    #[test]
    fn what_may_have_been_swept_away_may_be_gone() {
        let mut story = Story::default();
        story.edit("m", add("a")).during(10, 40).ok();
        story.edit("m", Edit::RemoveField("f".to_owned())).during(20, 30).ok();
        story.edit("m", add("b")).during(50, 60).ok();
        story.holds("m", map(&["b"]));
        story.accepted(&CHECK);
        story.holds("m", map(&["a", "b"]));
        story.accepted(&CHECK);
    }

    #[test]
    fn a_removal_that_was_given_up_may_be_done_later() {
        let mut story = Story::default();
        story.edit("m", Edit::RemoveField("f".to_owned())).during(10, 20).unknown();
        story.edit("m", add("a")).during(30, 40).ok();
        story.holds("m", map(&[]));
        story.accepted(&CHECK);
    }

    #[test]
    fn what_came_after_the_removal_must_be_there() {
        let mut story = Story::default();
        story.edit("m", Edit::RemoveField("f".to_owned())).ok();
        story.edit("m", add("a")).ok();
        story.holds("m", map(&[]));
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn what_came_after_a_deletion_must_be_there() {
        let mut story = Story::default();
        story.edit("m", add("a")).ok();
        story.edit("m", Edit::Delete).ok();
        story.edit("m", add("b")).ok();
        story.holds("m", map(&["b"]));
        story.accepted(&CHECK);
        story.holds("m", map(&[]));
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn the_removal_of_another_field_excuses_nothing() {
        let mut story = Story::default();
        story.edit("m", add("a")).ok();
        story.edit("m", Edit::RemoveField("g".to_owned())).ok();
        story.holds("m", View::Map([].into()));
        story.rejected(&CHECK, 1);
    }
}
