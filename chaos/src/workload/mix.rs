//! In what proportion the kinds of calls are asked.

use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Appends a record, under a key that many share or under one of its own.
    Append,
    /// Reads a key's latest record.
    Latest,
    /// Reads all of a key's records.
    Versions,
    /// Adds an element to a set.
    SetAdd,
    /// Removes an element that the client knows to be there.
    SetRemove,
    /// Reads a set.
    SetRead,
    /// Adds to a counter.
    CounterAdd,
    /// Reads a counter.
    CounterRead,
    /// Writes a register.
    RegisterSet,
    /// Reads a register.
    RegisterRead,
    /// Puts into a multi-value register.
    MultiPut,
    /// Reads a multi-value register.
    MultiRead,
    /// Adds an element to a set in a map.
    MapAdd,
    /// Removes a field of a map.
    MapRemove,
    /// Reads a map.
    MapRead,
    /// Publishes a release of a package, and then what is known of the package (see `registry`).
    Publish,
    /// Looks a package up.
    Find,
    /// Deletes an object of one of the kinds that the mix writes.
    Delete,
}

/// Weights: a call is of a kind with the probability of its weight over the sum of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Appends a record, under a key that many share or under one of its own.
    #[serde(default)]
    pub append: u32,
    /// Reads a key's latest record.
    #[serde(default)]
    pub latest: u32,
    /// Reads all of a key's records.
    #[serde(default)]
    pub versions: u32,
    /// Adds an element to a set.
    #[serde(default)]
    pub set_add: u32,
    /// Removes an element that the client knows to be there.
    #[serde(default)]
    pub set_remove: u32,
    /// Reads a set.
    #[serde(default)]
    pub set_read: u32,
    /// Adds to a counter.
    #[serde(default)]
    pub counter_add: u32,
    /// Reads a counter.
    #[serde(default)]
    pub counter_read: u32,
    /// Writes a register.
    #[serde(default)]
    pub register_set: u32,
    /// Reads a register.
    #[serde(default)]
    pub register_read: u32,
    /// Puts into a multi-value register.
    #[serde(default)]
    pub multi_put: u32,
    /// Reads a multi-value register.
    #[serde(default)]
    pub multi_read: u32,
    /// Adds an element to a set in a map.
    #[serde(default)]
    pub map_add: u32,
    /// Removes a field of a map.
    #[serde(default)]
    pub map_remove: u32,
    /// Reads a map.
    #[serde(default)]
    pub map_read: u32,
    /// Publishes a release of a package, and then what is known of the package (see `registry`).
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub publish: u32,
    /// Looks a package up.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub find: u32,
    /// Deletes an object of one of the kinds that the mix writes.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub delete: u32,
}

/// Weights that came later are not written when they are nothing, so that plans without them stay the same text.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_nothing(weight: &u32) -> bool {
    *weight == 0
}

/// A little of everything that stays, in hundredths.
impl Default for Mix {
    fn default() -> Self {
        Self {
            append: 24,
            latest: 4,
            versions: 5,
            set_add: 18,
            set_remove: 7,
            set_read: 5,
            counter_add: 9,
            counter_read: 3,
            register_set: 7,
            register_read: 4,
            multi_put: 4,
            multi_read: 2,
            map_add: 4,
            map_remove: 2,
            map_read: 2,
            publish: 0,
            find: 0,
            delete: 0,
        }
    }
}

impl Mix {
    fn weights(&self) -> [(Kind, u32); 18] {
        [
            (Kind::Append, self.append),
            (Kind::Latest, self.latest),
            (Kind::Versions, self.versions),
            (Kind::SetAdd, self.set_add),
            (Kind::SetRemove, self.set_remove),
            (Kind::SetRead, self.set_read),
            (Kind::CounterAdd, self.counter_add),
            (Kind::CounterRead, self.counter_read),
            (Kind::RegisterSet, self.register_set),
            (Kind::RegisterRead, self.register_read),
            (Kind::MultiPut, self.multi_put),
            (Kind::MultiRead, self.multi_read),
            (Kind::MapAdd, self.map_add),
            (Kind::MapRemove, self.map_remove),
            (Kind::MapRead, self.map_read),
            (Kind::Publish, self.publish),
            (Kind::Find, self.find),
            (Kind::Delete, self.delete),
        ]
    }

    /// The names of the objects that are written, of which a deletion takes one: a package's are kept.
    #[must_use]
    pub fn written(&self) -> Vec<&'static str> {
        let writes = [
            ("set", self.set_add),
            ("counter", self.counter_add),
            ("register", self.register_set),
            ("multi", self.multi_put),
            ("map", self.map_add),
        ];
        writes.into_iter().filter(|(_, weight)| *weight > 0).map(|(name, _)| name).collect()
    }

    /// The sum of all weights.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights().iter().map(|(_, weight)| u64::from(*weight)).sum()
    }

    /// Draws a kind.
    #[must_use]
    pub fn draw(&self, chance: &mut Chance) -> Kind {
        let mut place = chance.below(self.total());
        for (kind, weight) in self.weights() {
            if place < u64::from(weight) {
                return kind;
            }
            place -= u64::from(weight);
        }
        Kind::Append
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_in_proportion_and_what_has_no_weight_never() {
        let mix: Mix = toml::from_str("append = 3\nset_add = 1").expect("a mix");
        let mut chance = Chance::new(1);
        let drawn: Vec<Kind> = (0..4_000).map(|_| mix.draw(&mut chance)).collect();
        let appends = drawn.iter().filter(|kind| **kind == Kind::Append).count();
        assert!((2_800..3_200).contains(&appends), "{appends}");
        assert!(drawn.iter().all(|kind| matches!(kind, Kind::Append | Kind::SetAdd)));
        assert!(toml::from_str::<Mix>("luck = 1").is_err());
        assert_eq!(Mix::default().total(), 100);
    }

    #[test]
    fn what_came_later_is_not_written_when_it_is_nothing() {
        let text = toml::to_string(&Mix::default()).expect("a mix is TOML");
        assert!(text.contains("map_read") && !text.contains("publish") && !text.contains("delete"), "{text}");
        let mix = Mix { publish: 3, find: 2, delete: 1, ..Mix::default() };
        assert_eq!(toml::from_str::<Mix>(&toml::to_string(&mix).expect("a mix is TOML")).expect("its own text"), mix);
    }
}
