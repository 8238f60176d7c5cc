//! Enumerations that kernels and host share, from the kernels' sources (build/contract.rs): `enum Column` of
//! `kernels/loss_score.cu` is the module `column`.

#![allow(dead_code)]

include!(concat!(env!("OUT_DIR"), "/enums.rs"));
