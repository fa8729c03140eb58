//! What work there is, what it keeps busy, and how long.

use crate::profile::Profile;

use super::ClockReading;

/// Work of the card, or of the host for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A run of a layer or a head.
    Run {
        /// Of a head: other figures hold.
        head: bool,
        /// Bytes of weights that it reads.
        weight_bytes: u64,
        /// Bytes of the K/V cache that it reads.
        cache_bytes: u64,
        /// Operations of its matrix products, if it has more than one row.
        operations: u64,
    },
    /// A copy to the device.
    ToDevice {
        /// Bytes.
        bytes: u64,
        /// Whether the host side is pinned memory.
        pinned: bool,
    },
    /// A copy from the device.
    FromDevice {
        /// Bytes.
        bytes: u64,
        /// Whether the host side is pinned memory.
        pinned: bool,
    },
    /// A copy or fill within the device memory.
    OnDevice {
        /// Bytes.
        bytes: u64,
    },
    /// Flushing or invalidating the CPU's cache.
    Cache {
        /// Bytes.
        bytes: u64,
    },
    /// Loading a model.
    Load {
        /// Bytes.
        bytes: u64,
    },
    /// Asking the card for something: nothing but the round trip.
    Message,
}

/// What work keeps busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Npu,
    Link,
    /// The memory of the device, which has no queue, but runs wait for it.
    Memory,
    None,
}

impl Work {
    pub(super) fn resource(&self) -> Resource {
        match self {
            Self::Run { .. } => Resource::Npu,
            Self::ToDevice { .. } | Self::FromDevice { .. } => Resource::Link,
            Self::OnDevice { .. } => Resource::Memory,
            Self::Cache { .. } | Self::Load { .. } | Self::Message => Resource::None,
        }
    }

    /// Time of the host for it before it can begin.
    pub(super) fn host_ns(&self, profile: &Profile) -> u64 {
        match self {
            Self::ToDevice { pinned: false, .. } | Self::FromDevice { pinned: false, .. } => {
                nanoseconds(profile.unpinned_copy_us.value)
            }
            _ => 0,
        }
    }

    /// Time of the device for it.
    pub(super) fn device_ns(&self, profile: &Profile) -> u64 {
        // 10^9 bytes a second are 10^3 bytes a microsecond, 10^12 operations a second 10^6.
        let us = match *self {
            Self::Run { head, weight_bytes, cache_bytes, operations } => {
                let (call_us, gb_per_s) = if head {
                    (profile.head_call_us.value, profile.head_gb_per_s.value)
                } else {
                    (profile.layer_call_us.value, profile.layer_gb_per_s.value)
                };
                call_us
                    + (weight_bytes + cache_bytes) as f64 / (gb_per_s * 1e3)
                    + operations as f64 / (profile.chunk_tops.value * 1e6)
            }
            Self::ToDevice { bytes, .. } => bytes as f64 / profile.to_device_mb_per_s.value,
            Self::FromDevice { bytes, .. } => bytes as f64 / profile.from_device_mb_per_s.value,
            Self::OnDevice { bytes } => bytes as f64 / (profile.device_copy_gb_per_s.value * 1e3),
            Self::Cache { bytes } => bytes as f64 / (profile.cache_gb_per_s.value * 1e3),
            Self::Load { bytes } => bytes as f64 / profile.load_mb_per_s.value,
            Self::Message => 0.0,
        };
        nanoseconds(us)
    }

    pub(super) fn count(&self, reading: &mut ClockReading) {
        match *self {
            Self::Run { weight_bytes, cache_bytes, .. } => {
                reading.runs += 1;
                reading.weight_bytes_read += weight_bytes;
                reading.cache_bytes_read += cache_bytes;
            }
            Self::ToDevice { bytes, .. } => reading.bytes_to_device += bytes,
            Self::FromDevice { bytes, .. } => reading.bytes_from_device += bytes,
            _ => {}
        }
    }
}

/// What a call that waits costs beside what it waits for.
pub(super) fn round_trip_ns(profile: &Profile) -> u64 {
    nanoseconds(profile.round_trip_us.value)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the figures of a profile are not negative, and the conversion saturates"
)]
fn nanoseconds(us: f64) -> u64 {
    (us * 1e3).round() as u64
}
