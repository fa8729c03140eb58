//! Making a software card as a choice describes it.

use std::sync::Arc;

use ax650_sim::CardOptions;
use ax650_sim::profile::{self, Profile};

use super::open::DriverOptions;
use super::{Compute, DeviceError, Interface, Pace, ProfileChoice, SoftwareChoice};

/// What a software card is made of.
pub(super) struct Plan {
    pub(super) card: CardOptions,
    pub(super) interface: Interface,
    pub(super) profile: Option<Arc<Profile>>,
}

/// Reads the profile, if one is asked for.
pub(super) fn plan(choice: &SoftwareChoice, options: &DriverOptions) -> Result<Plan, DeviceError> {
    let profile = choice.profile.as_ref().map(read).transpose()?.map(Arc::new);
    let own = match profile.as_deref().map(Profile::interface) {
        Some(profile::Interface::Board) => Interface::Board,
        Some(profile::Interface::Pcie) | None => Interface::Pcie,
    };
    let card = CardOptions {
        threads: options.software_threads,
        profile: profile.clone(),
        compute: match choice.compute {
            Compute::Full => ax650_sim::Compute::Full,
            Compute::None => ax650_sim::Compute::None,
        },
        pace: match options.pace {
            Pace::Real => ax650_sim::Pace::Real,
            Pace::Virtual => ax650_sim::Pace::Virtual,
        },
        ..CardOptions::default()
    };
    Ok(Plan { card, interface: choice.interface.unwrap_or(own), profile })
}

/// Bytes of weights per second, where reading them takes any time.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturating")]
pub(super) fn weight_bytes_per_second(profile: &Profile) -> Option<u64> {
    let rate = profile.layer_gb_per_s.value * 1e9;
    (rate.is_finite() && rate > 0.0).then_some(rate as u64)
}

fn read(choice: &ProfileChoice) -> Result<Profile, DeviceError> {
    let profile = match choice {
        ProfileChoice::Named(name) => Profile::named(name),
        ProfileChoice::File(path) => Profile::read(path),
    };
    profile.map_err(|error| DeviceError::Profile(error.to_string()))
}
