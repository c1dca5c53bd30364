// Devices for ../tab: a call as JSON in, an answer as JSON out, bytes in hexadecimal. Every call names the device that it
// is for (`as`). The same in Node and in a page.
import { Device } from "./terachat_browser.js";

const devices = new Map();

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const bytes = (text) => Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.substr(2 * at, 2), 16));

// Milliseconds inside of the module since the last answer.
let spent = 0;
function timed(call) {
  const start = performance.now();
  try {
    return call();
  } finally {
    spent += performance.now() - start;
  }
}

// A text as a page shows what was found in it. The ranges are of its UTF-8; a string is UTF-16.
function highlighted(body, ranges) {
  const [utf8, decoder] = [new TextEncoder().encode(body), new TextDecoder()];
  const part = (from, to) => decoder.decode(utf8.subarray(from, to));
  let [shown, from] = ["", 0];
  for (const [start, end] of ranges) {
    shown += `${part(from, start)}[${part(start, end)}]`;
    from = end;
  }
  return shown + part(from, utf8.length);
}

const calls = {
  create({ as, name, now }) {
    const device = timed(() => Device.create(name, now));
    devices.set(as, device);
    return { id: hex(device.id) };
  },
  request({ as, verb, args, now }) {
    return timed(() => devices.get(as).request(verb, args, now));
  },
  search({ as, args, now }) {
    const { hits } = timed(() => devices.get(as).request("Search", args, now));
    return hits.map(({ message, highlights }) => highlighted(message.body, highlights));
  },
  connected({ as, peer }) {
    const id = bytes(peer);
    timed(() => devices.get(as).connected(id));
  },
  receive({ as, peer, frame, now }) {
    const [id, received] = [bytes(peer), bytes(frame)];
    timed(() => devices.get(as).receive(id, received, now));
  },
  poll({ as }) {
    const device = devices.get(as);
    while (timed(() => device.pollNotice()));
    const frames = [];
    for (let frame; (frame = timed(() => device.pollFrame())); ) {
      frames.push({ peer: hex(frame.peer), bytes: hex(frame.bytes) });
    }
    return frames;
  },
};

export function answer(line) {
  const call = JSON.parse(line);
  const result = {};
  spent = 0;
  try {
    result.ok = calls[call.do](call);
  } catch (error) {
    result.thrown = { name: error.name, code: error.code, message: error.message };
  }
  result.ms = spent;
  return JSON.stringify(result);
}
