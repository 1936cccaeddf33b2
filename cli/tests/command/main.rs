//! The command as people and scripts meet it: the real binary, its output and its exit codes.

mod building;
mod changing;
mod deciding;
mod desk;
mod importing;
mod inspecting;
mod issuing;
mod publishing;
mod showing;
mod signing;
mod slips;
mod support;
mod tls;
mod using;
