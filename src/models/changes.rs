//! What somebody wants otherwise in a model that is made of another one, or of a file.

use serde_json::{Map, Value};

use super::manifest::Manifest;

/// What a model has otherwise than the one that it is made of. What is not given stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Chat template.
    pub template: Option<String>,
    /// System message.
    pub system: Option<String>,
    /// Licences; all together take the place of those before.
    pub licenses: Vec<String>,
    /// Options of requests by name, over those before.
    pub parameters: Map<String, Value>,
    /// Messages before those of every request; if there are any, they take the place of those before.
    pub messages: Vec<Value>,
    /// What listings say of it, over what they said before.
    pub info: Map<String, Value>,
    /// Least version of Ollama that the model asks for.
    pub requires: Option<String>,
}

impl Changes {
    /// The parts that are given, each with the text that it comes to: one that is shown as a layer of its own.
    pub fn layers(&self) -> Vec<String> {
        let mut layers: Vec<String> = [&self.template, &self.system].into_iter().flatten().cloned().collect();
        layers.extend(self.licenses.iter().cloned());
        if !self.parameters.is_empty() {
            layers.push(Value::Object(self.parameters.clone()).to_string());
        }
        if !self.messages.is_empty() {
            layers.push(Value::Array(self.messages.clone()).to_string());
        }
        layers
    }

    /// Puts them into a manifest.
    pub(super) fn apply(&self, manifest: &mut Manifest) {
        let custom = &mut manifest.custom;
        for (given, place) in [(&self.template, &mut custom.template), (&self.requires, &mut custom.requires)]
        {
            if let Some(text) = given {
                *place = Some(text.clone());
            }
        }
        if let Some(system) = &self.system {
            manifest.system = Some(system.clone()).filter(|text| !text.is_empty());
        }
        if !self.licenses.is_empty() {
            manifest.license = Some(self.licenses.join("\n"));
        }
        let copied = |map: &Map<String, Value>| map.clone().into_iter().collect::<Vec<_>>();
        manifest.parameters.extend(copied(&self.parameters));
        custom.info.extend(copied(&self.info));
        if !self.messages.is_empty() {
            custom.messages.clone_from(&self.messages);
        }
    }
}
