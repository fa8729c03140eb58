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
    /// Name of the profile.
    pub(super) profile: Option<String>,
    /// How fast a layer reads its weights by the profile; `None` without one, or if that takes no time.
    pub(super) weight_bytes_per_second: Option<u64>,
}

/// Reads the profile, if one is asked for.
pub(super) fn plan(choice: &SoftwareChoice, options: &DriverOptions) -> Result<Plan, DeviceError> {
    let profile = choice.profile.as_ref().map(read).transpose()?;
    let own = match profile.as_ref().map(Profile::interface) {
        Some(profile::Interface::Board) => Interface::Board,
        Some(profile::Interface::Pcie) | None => Interface::Pcie,
    };
    let name = profile.as_ref().map(|profile| profile.name().to_owned());
    let weight_bytes_per_second = profile.as_ref().and_then(weight_speed);
    let card = CardOptions {
        threads: options.software_threads,
        profile: profile.map(Arc::new),
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
    Ok(Plan { card, interface: choice.interface.unwrap_or(own), profile: name, weight_bytes_per_second })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite and above zero")]
fn weight_speed(profile: &Profile) -> Option<u64> {
    let bytes_per_second = profile.layer_gb_per_s.value * 1e9;
    bytes_per_second.is_finite().then_some(bytes_per_second as u64)
}

fn read(choice: &ProfileChoice) -> Result<Profile, DeviceError> {
    let profile = match choice {
        ProfileChoice::Named(name) => Profile::named(name),
        ProfileChoice::File(path) => Profile::read(path),
    };
    profile.map_err(|error| DeviceError::Profile(error.to_string()))
}
