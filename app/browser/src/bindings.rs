//! [`Tab`] as a class for JavaScript.
#![allow(unsafe_code, reason = "wasm-bindgen writes it; here is none by hand")]
use crate::{Code, Failure, Tab, TabEntropy};
use js_sys::{JSON, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts");

#[wasm_bindgen]
extern "C" {
    /// The host's source of randomness, in pages, workers and Node.
    #[wasm_bindgen(catch, js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(out: &mut [u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);

    #[wasm_bindgen(typescript_type = "OutFrame | undefined")]
    pub type MaybeFrame;

    #[wasm_bindgen(typescript_type = "Notice | undefined")]
    pub type MaybeNotice;
}

/// Puts a panic, which is a bug, into the console before the module stops for good.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| console_error(&panic.to_string())));
}

/// One device that lives in this tab's memory and is gone with it. Times are milliseconds since 1970, as `Date.now()`
/// gives them. After every call drain `pollFrame` and `pollNotice`.
///
/// Every method throws `Failure`. A `WebAssembly.RuntimeError` is a bug: the console has its text, and the module cannot
/// be used any more.
#[wasm_bindgen]
pub struct Device {
    tab: Tab,
}

#[wasm_bindgen]
impl Device {
    /// A new user with one device, called `name` (1 to 100 characters). Its keys are made of `crypto.getRandomValues`.
    pub fn create(name: &str, now_ms: f64) -> Result<Device, JsValue> {
        let entropy = TabEntropy::new(|out| get_random_values(out).is_ok()).map_err(thrown)?;
        Ok(Self { tab: Tab::create(name, entropy, time(now_ms)?).map_err(thrown)? })
    }

    /// The device's id, 32 bytes: the Ed25519 public key by which peers know it.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> Uint8Array {
        Uint8Array::from(self.tab.id().as_slice())
    }

    /// Carries out one verb.
    #[wasm_bindgen(skip_typescript)]
    pub fn request(&mut self, verb: &str, args: &JsValue, now_ms: f64) -> Result<JsValue, JsValue> {
        // Arguments that are left out are those of a verb that has none.
        let args = if args.is_undefined() { "null".into() } else { String::from(JSON::stringify(args)?) };
        let answer = self.tab.request(verb, &args, time(now_ms)?).map_err(thrown)?;
        JSON::parse(&answer)
    }

    /// A connection to a peer began. Whoever carries the frames has made sure that it is the device with this id.
    pub fn connected(&mut self, peer: &[u8]) -> Result<(), JsValue> {
        self.tab.connected(id(peer)?);
        Ok(())
    }

    /// The connection to a peer ended.
    pub fn disconnected(&mut self, peer: &[u8]) -> Result<(), JsValue> {
        self.tab.disconnected(id(peer)?);
        Ok(())
    }

    /// Takes in a frame of a connected peer. When it throws with the code "peer", disconnect that peer.
    pub fn receive(&mut self, peer: &[u8], frame: Vec<u8>, now_ms: f64) -> Result<(), JsValue> {
        self.tab.receive(id(peer)?, frame, time(now_ms)?).map_err(thrown)
    }

    /// The next frame for a peer.
    #[wasm_bindgen(js_name = pollFrame)]
    pub fn poll_frame(&mut self) -> Result<MaybeFrame, JsValue> {
        let Some((peer, bytes)) = self.tab.poll_frame() else { return Ok(JsValue::UNDEFINED.into()) };
        let frame = Object::new();
        Reflect::set(&frame, &"peer".into(), &Uint8Array::from(peer.as_slice()))?;
        Reflect::set(&frame, &"bytes".into(), &Uint8Array::from(bytes.as_slice()))?;
        Ok(JsValue::from(frame).into())
    }

    /// The next thing that happened on its own.
    #[wasm_bindgen(js_name = pollNotice)]
    pub fn poll_notice(&mut self) -> Result<MaybeNotice, JsValue> {
        let Some(notice) = self.tab.poll_notice() else { return Ok(JsValue::UNDEFINED.into()) };
        let text = serde_json::to_string(&notice).map_err(|error| {
            thrown(Failure::new(Code::Other, format!("a notice could not be told: {error}")))
        })?;
        Ok(JSON::parse(&text)?.into())
    }

    /// Audits in the background for one slice, if it is time to; to be called every ten seconds or so. Gives whether more
    /// is to be done at once. What it finds becomes a notice.
    pub fn watch(&mut self, now_ms: f64) -> Result<bool, JsValue> {
        self.tab.watch(time(now_ms)?).map_err(thrown)
    }
}

/// An `Error` with a name and a code.
fn thrown(failure: Failure) -> JsValue {
    let error = js_sys::Error::new(&failure.message);
    error.set_name("Failure");
    // It fails on frozen objects only, and this one is new.
    let _ = Reflect::set(&error, &"code".into(), &failure.code.name().into());
    error.into()
}

fn id(bytes: &[u8]) -> Result<[u8; 32], JsValue> {
    bytes.try_into().map_err(|_| thrown(Failure::new(Code::Input, "a device's id is 32 bytes")))
}

/// Milliseconds; what JavaScript counts exactly.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked before")]
fn time(now_ms: f64) -> Result<u64, JsValue> {
    if (0.0..9_007_199_254_740_992.0).contains(&now_ms) {
        return Ok(now_ms as u64);
    }
    Err(thrown(Failure::new(Code::Input, "a time is milliseconds since 1970, as Date.now() gives them")))
}
