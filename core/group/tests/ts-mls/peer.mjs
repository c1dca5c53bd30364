// Members of MLS groups as ts-mls makes them, for ../ts_mls.rs: a request on a line of the standard input, an answer on a
// line of the standard output, both JSON, bytes in hexadecimal. Every request names the member it is for (`as`).
import { createInterface } from "node:readline";
import {
  acceptAll,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeMlsMessage,
  emptyPskIndex,
  encodeMlsMessage,
  encodeRequiredCapabilities,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  mlsExporter,
  processPrivateMessage,
  processPublicMessage,
} from "ts-mls";
import { decodeRatchetTree, encodeRatchetTree } from "ts-mls/ratchetTree.js";

const SUITE = "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519";
// What core/group/src/policy.rs asks of leaves and contexts.
const CONTROL_ROOT = 0xf0c1;
const FOR_EVER = { notBefore: 0n, notAfter: 0xffffffffffffffffn };
const CAPABILITIES = {
  versions: ["mls10"],
  ciphersuites: [SUITE],
  extensions: [CONTROL_ROOT],
  proposals: [],
  credentials: ["basic"],
};

const suite = await getCiphersuiteImpl(getCiphersuiteFromName(SUITE));
const members = new Map();

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => new Uint8Array(Buffer.from(text, "hex"));

function context(root) {
  const required = { extensionTypes: [CONTROL_ROOT], proposalTypes: [], credentialTypes: ["basic"] };
  return [
    { extensionType: "required_capabilities", extensionData: encodeRequiredCapabilities(required) },
    { extensionType: CONTROL_ROOT, extensionData: bytes(root) },
  ];
}

function message(text, wireformat) {
  const decoded = decodeMlsMessage(bytes(text), 0)?.[0];
  if (decoded?.wireformat !== wireformat) throw new Error(`that is no ${wireformat}`);
  return decoded;
}

// The leaves of a tree, by the member's signature key.
function leaves(state) {
  return state.ratchetTree
    .filter((_, at) => at % 2 === 0)
    .map((node) => (node?.nodeType === "leaf" ? hex(node.leaf.signaturePublicKey) : undefined));
}

const verbs = {
  // A new member and its key package.
  async new(name) {
    const keys = await suite.signature.keygen();
    const credential = { credentialType: "basic", identity: keys.publicKey };
    const made = await generateKeyPackageWithKey(credential, CAPABILITIES, FOR_EVER, [], keys, suite);
    members.set(name, { ...made, device: hex(keys.publicKey) });
    const keyPackage = encodeMlsMessage({
      keyPackage: made.publicPackage,
      wireformat: "mls_key_package",
      version: "mls10",
    });
    return { device: hex(keys.publicKey), key_package: hex(keyPackage) };
  },

  async create(name, { group_id, root }) {
    const member = members.get(name);
    member.state = await createGroup(
      bytes(group_id),
      member.publicPackage,
      member.privatePackage,
      context(root),
      suite,
    );
    return {};
  },

  async join(name, { welcome, tree }) {
    const member = members.get(name);
    member.state = await joinGroup(
      message(welcome, "mls_welcome").welcome,
      member.publicPackage,
      member.privatePackage,
      emptyPskIndex,
      suite,
      decodeRatchetTree(bytes(tree), 0)[0],
    );
    return {};
  },

  // `add` are key packages, `remove` devices, `root` a new control root.
  async commit(name, { add = [], remove = [], root }) {
    const member = members.get(name);
    const extraProposals = [];
    for (const device of remove) {
      const removed = leaves(member.state).indexOf(device);
      if (removed < 0) throw new Error("nobody to remove");
      extraProposals.push({ proposalType: "remove", remove: { removed } });
    }
    for (const text of add) {
      const { keyPackage } = message(text, "mls_key_package");
      extraProposals.push({ proposalType: "add", add: { keyPackage } });
    }
    if (root !== undefined) {
      const groupContextExtensions = { extensions: context(root) };
      extraProposals.push({ proposalType: "group_context_extensions", groupContextExtensions });
    }
    const made = await createCommit(
      { state: member.state, cipherSuite: suite },
      { extraProposals, wireAsPublicMessage: true, ratchetTreeExtension: false },
    );
    member.state = made.newState;
    const welcome =
      made.welcome && encodeMlsMessage({ welcome: made.welcome, wireformat: "mls_welcome", version: "mls10" });
    return {
      message: hex(encodeMlsMessage(made.commit)),
      welcome: welcome && hex(welcome),
      tree: hex(encodeRatchetTree(made.newState.ratchetTree)),
    };
  },

  async process(name, { message: text }) {
    const member = members.get(name);
    const { publicMessage } = message(text, "mls_public_message");
    const processed = await processPublicMessage(member.state, publicMessage, emptyPskIndex, suite, acceptAll);
    member.state = processed.newState;
    return { removed: member.state.groupActiveState.kind === "removedFromGroup" };
  },

  async seal(name, { text }) {
    const member = members.get(name);
    const { newState, privateMessage } = await createApplicationMessage(member.state, bytes(text), suite);
    member.state = newState;
    const sealed = encodeMlsMessage({ privateMessage, wireformat: "mls_private_message", version: "mls10" });
    return { message: hex(sealed) };
  },

  async open(name, { message: text }) {
    const member = members.get(name);
    const { privateMessage } = message(text, "mls_private_message");
    const opened = await processPrivateMessage(member.state, privateMessage, emptyPskIndex, suite);
    if (opened.kind !== "applicationMessage") throw new Error("that is no application message");
    member.state = opened.newState;
    return { text: hex(opened.message) };
  },

  async state(name, { label }) {
    const { state } = members.get(name);
    const { keySchedule, groupContext } = state;
    return {
      epoch: Number(groupContext.epoch),
      authenticator: hex(keySchedule.epochAuthenticator),
      secret: hex(await mlsExporter(keySchedule.exporterSecret, label, new Uint8Array(), 32, suite)),
      members: leaves(state).filter((device) => device !== undefined),
    };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { verb, as, ...rest } = JSON.parse(line);
    answer = { ok: await verbs[verb](as, rest) };
  } catch (error) {
    answer = { error: String(error?.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
