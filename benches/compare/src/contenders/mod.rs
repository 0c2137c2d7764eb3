//! *Owns* the contenders, one file per crate. *Invariant*: each is used as its own documentation
//! recommends for two threads that spin; where two forms compete, both are rows. *Source*: the
//! READMEs and API documentation of the crates.

mod by_hand;
pub(crate) mod bytes;
mod disruptor;
mod fan;
mod photon;
mod queues;
mod rtrb;
mod tourbillon;

pub(crate) use by_hand::{ByHand, by_hand_has_our_stride};
pub(crate) use disruptor::{Disruptor, DisruptorFan, DisruptorMulti, DisruptorPipeline};
pub(crate) use fan::{Chained, Fused, Rings};
pub(crate) use photon::{Photon, PhotonFan, PhotonPipeline};
pub(crate) use queues::{ArrayQueue, Crossbeam, Kanal};
pub(crate) use rtrb::Rtrb;
pub(crate) use tourbillon::{
    Receiver as TourbillonRx, Sender as TourbillonTx, Tourbillon, TourbillonFan, TourbillonMulti,
    TourbillonPipeline, builder as tourbillon_builder, start as tourbillon_start,
};
