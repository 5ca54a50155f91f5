//! Files on a disk that forgets, fails and lies.

mod forgetful;
mod groups;
