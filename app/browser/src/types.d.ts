/** Why something was not done; thrown by every method. State is as it was before. */
export interface Failure extends Error {
  name: "Failure";
  /** What kind it is; with "peer", disconnect the peer. */
  code:
    | "input"
    | "unknown"
    | "ambiguous"
    | "not_allowed"
    | "not_in_group"
    | "peer"
    | "no_entropy"
    | "storage"
    | "other";
}

/** A frame for a peer: bytes that a connection to it carries, each once and in order. */
export interface OutFrame {
  /** Device id, 32 bytes. */
  peer: Uint8Array;
  bytes: Uint8Array;
}

/** A space and a channel by name, id or unique id prefix; null where there is exactly one. */
export interface Place {
  space: string | null;
  channel: string | null;
}

export interface Named {
  /** Hexadecimal. */
  id: string;
  name: string;
}

export interface Message {
  id: string;
  space: string;
  channel: string;
  author: string;
  /** Id of the user who signed it, hexadecimal. */
  user: string;
  /** Milliseconds since 1970, as its author claims. */
  ts_ms: number;
  style: string;
  body: string;
  edited: boolean;
  reply_to: string | null;
  /** Emoji, and how many users chose it. */
  reactions: [string, number][];
  pinned: boolean;
  deleted: boolean;
  /** A peer sent the event without its text; others are asked for it. */
  missing: boolean;
  /** Its text is not for this device: it was sealed for those who were members then. */
  sealed: boolean;
  imported: boolean;
  depth: number;
  title: string | null;
  tags: string[];
  mentions: string[];
  attachments: { name: string; media_type: string; len: number; hash: string; address: string | null }[];
  read_by: string[];
}

export interface Channel {
  id: string;
  name: string;
  forum: boolean;
  /** Members read what was written since they joined, instead of everything. */
  since_join: boolean;
  topic: string;
  category: string | null;
  kept: boolean;
  events: number;
  messages: number;
  unread: number;
  mentions: number;
  /** Hexadecimal. */
  state_hash: string;
}

/** When keys are renewed by themselves: by whoever writes once one of both has come. */
export interface Renewal {
  days: number;
  messages: number;
  /** Days with as many devices as there are. */
  days_here: number;
}

export interface Space {
  id: string;
  name: string;
  /** MLS epoch; null where this device is no member. */
  epoch: number | null;
  /** Whether its keys are agreed on by X-Wing; null where this device is in no epoch. */
  post_quantum: boolean | null;
  /** The suite that somebody asked to move the group to, and whose devices have offered no keys for it yet. */
  moving: { suite: string; by: string; waits_for: string[] } | null;
  renewal: Renewal;
  /** 0 to 100; null after removal. */
  rank: number | null;
  /** Equal on all devices that keep the same channels and have the same events; hexadecimal. */
  state_hash: string;
  categories: string[];
  channels: Channel[];
  members: { user: string; name: string; rank: number; devices: string[] }[];
  /** Devices that the space requires as its archive: they read along in every channel. */
  archives: { device: string; user: string; name: string; reads: boolean; by: string }[];
  /** Legal holds: what they are on, archives erase only after they have ended. */
  holds: { what: "channel" | "member"; id: string; name: string; by: string }[];
  /** What members should know about the archive, in words. */
  warnings: string[];
  waiting: string[];
}

export interface AuditReport {
  events: number;
  chains: number;
  signatures: number;
  logs: { log: string; events: number; kept: string; replayed: string }[];
  /** Every mismatch, in words. Not empty: the red alarm. */
  alarm: string[];
  equivocations: string[];
}

/** Something that happened on its own: one of these fields. */
export interface Notice {
  message?: Message;
  changed?: Message;
  space?: { space: string; what: string };
  in_sync?: { peer: string };
  not_member?: { peer: string; space: string };
  stranger?: { peer: string; space: string };
  alarm?: { what: string };
  audited?: { events: number; everything: boolean; alarm: string[] };
}

/**
 * What a device can be asked: [arguments, answer]. These are some of the variants of `Request` in
 * core/client/src/api/request.rs, where each is described; the others work as well and get their types here when a page
 * needs them. Numbers above 2^53, as scores of search hits, lose their last digits.
 */
export interface Verbs {
  /** A card to be invited by. */
  WhoAmI: [null, { name: string; user: string; device: string; card: string }];
  Status: [null, { device: string; spaces: Space[]; disk_len: number }];
  SpaceCreate: [{ name: string }, Named];
  /** `archives`: whose devices read along in it as the space's archive. */
  ChannelCreate: [
    { space: string | null; name: string; forum: boolean; since_join: boolean },
    Named & { archives: string[] },
  ];
  /** `card` is what WhoAmI gave the newcomer; rank 10 when null. */
  Invite: [{ space: string | null; card: string; rank: number | null }, { invitation: string }];
  /** The space fills when a member is connected. */
  Join: [{ invitation: string }, { space: string; ready: boolean; archives: string[] }];
  MemberRemove: [{ space: string | null; member: string }, null];
  Send: [{ place: Place; body: string; reply_to: string | null }, { id: string }];
  Edit: [{ place: Place; message: string; body: string }, { id: string }];
  React: [{ place: Place; message: string; emoji: string; remove: boolean }, { id: string }];
  Delete: [{ place: Place; message: string }, { id: string }];
  /** Oldest first; at most one of before, after and around, the newest without any. */
  Read: [
    {
      place: Place;
      limit: number;
      before: string | null;
      after: string | null;
      around: string | null;
      thread: string | null;
      pinned: boolean;
    },
    { messages: Message[] },
  ];
  /** Highlights are ranges of the body's UTF-8 (TextEncoder), not of its UTF-16. */
  Search: [
    { place: Place; query: string; limit: number },
    { hits: { message: Message; score: number; highlights: [number, number][] }[] },
  ];
  /** A space as a file for those whom no network reaches, and such a file taken in. */
  BundleExport: [{ space: string | null }, { bytes: number[]; events: number }];
  BundleImport: [{ bytes: number[] }, { added: number; known: number; waiting: string[]; refused: string[] }];
  Audit: [null, AuditReport];
}

export interface Device {
  /** Carries out one verb. What it changed stays, also when the frames that it led to are lost. Throws Failure. */
  request<V extends keyof Verbs>(verb: V, args: Verbs[V][0], now_ms: number): Verbs[V][1];
}
