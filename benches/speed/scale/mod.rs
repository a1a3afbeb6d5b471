//! `make bench-scale`: what work costs as there is more of it.

mod events_loaded;
mod holders;
mod open_holds;
mod picture;
mod seats;
mod series;
mod subscribers;

pub use events_loaded::run as events_loaded;
pub use holders::run as holders;
pub use open_holds::run as open_holds;
pub use picture::draw;
pub use seats::run as seats;
pub use series::Series;
pub use subscribers::run as subscribers;
