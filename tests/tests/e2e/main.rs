//! What client and server promise each other, over every transport.

mod callbacks;
mod calls;
mod deadlines;
mod drivers;
mod drops;
mod edges;
mod encoding;
mod failures;
mod hostile;
mod impostor;
mod lifecycle;
mod limits;
mod polling;
mod reconnect;
mod scene;
mod streams;
