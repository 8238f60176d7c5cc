//! The structures that kernels take, from their sources (build/contract.rs): that of `kernels/echo.cu` is
//! [`EchoArgs`].

use super::terms::DevicePointer;

include!(concat!(env!("OUT_DIR"), "/args.rs"));
