//! Scripts as stages call them: what they see, what they may do, and how they are stopped.

mod fixture;
mod hostile;
mod kinds;
mod nouns;
mod reference;
mod threads;
mod vtl;
mod waiting;
