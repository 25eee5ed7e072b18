// What the server is asked for. The token comes in the fragment of the link that the command prints,
// which a browser sends to nobody; it goes with each request in a header that other sites cannot set.

import { answered, isFile } from "./embedded";

const KEY = "steepest-token";

export function takeToken(): void {
  const found = /^#token=([\w-]{8,200})/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(KEY, found[1]!);
  history.replaceState(null, "", location.pathname + "#/runs");
}

function headers(): Record<string, string> {
  const token = sessionStorage.getItem(KEY);
  return token ? { "X-Steepest-Token": token } : {};
}

// What the server refused, with all that it told.
export class ApiError extends Error {
  constructor(message: string, readonly told?: unknown) {
    super(message);
  }
}

export async function get<T>(path: string): Promise<T> {
  if (isFile) return answered(path) as T;
  const reply = await fetch(path, { headers: headers(), cache: "no-store" });
  const value = await reply.json();
  if (!reply.ok) throw new ApiError(String(value.error ?? reply.statusText), value);
  return value as T;
}

export async function post<T>(path: string, wanted: object = {}): Promise<T> {
  if (isFile) throw new ApiError("this page is a file, and nothing is behind it that could work: steepest board opens one that can");
  const sent = { ...headers(), "Content-Type": "application/json" };
  const reply = await fetch(path, { method: "POST", headers: sent, body: JSON.stringify(wanted) });
  const value = await reply.json();
  if (!reply.ok) throw new ApiError(String(value.error ?? reply.statusText), value);
  return value as T;
}

// Whether this page may ask for what takes work: it came by the link that was printed.
export const hasToken = () => !isFile && sessionStorage.getItem(KEY) !== null;

export async function getText(path: string): Promise<string> {
  const reply = await fetch(path, { headers: headers(), cache: "no-store" });
  if (!reply.ok) throw new ApiError(String((await reply.json()).error));
  return reply.text();
}

export type Told = { event: string; data: unknown };

// Server-sent events, from where the last connection ended. While the page is hidden nothing is
// asked for: the cursor makes up for it at once. Returns what ends it.
export function listen(
  path: string,
  told: (event: Told) => void,
  connected: (problem: string | null) => void,
): () => void {
  if (isFile) {
    get(path).then((data) => told({ event: "snapshot", data }), (error: Error) => connected(error.message));
    return () => undefined;
  }
  let ended = false;
  let current: AbortController | null = null;
  let cursor = "";
  let pause = 300;

  async function once(): Promise<void> {
    current = new AbortController();
    const sent = cursor ? { ...headers(), "Last-Event-ID": cursor } : headers();
    const reply = await fetch(path, { headers: sent, cache: "no-store", signal: current.signal });
    if (!reply.ok || !reply.body) throw new ApiError(String((await reply.json()).error));
    connected(null);
    pause = 300;
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the board has ended");
      text += value;
      const parts = text.split("\n\n");
      text = parts.pop()!;
      for (const part of parts) {
        const fields = new Map(part.split("\n").map((line) => split(line)));
        cursor = fields.get("id") ?? cursor;
        told({ event: fields.get("event") ?? "", data: JSON.parse(fields.get("data") ?? "null") });
      }
    }
  }

  async function go(): Promise<void> {
    while (!ended) {
      if (document.hidden) await visible();
      if (ended) return;
      try {
        await once();
      } catch (error) {
        if (ended || document.hidden) continue;
        connected(error instanceof ApiError ? error.message : "no answer from the board");
        await new Promise((go) => setTimeout(go, pause));
        pause = Math.min(pause * 1.7, 5000);
      }
    }
  }

  const hide = () => document.hidden && current?.abort();
  document.addEventListener("visibilitychange", hide);
  void go();
  return () => {
    ended = true;
    document.removeEventListener("visibilitychange", hide);
    current?.abort();
  };
}

function split(line: string): [string, string] {
  const at = line.indexOf(": ");
  return [line.slice(0, at), line.slice(at + 2)];
}

function visible(): Promise<void> {
  return new Promise((done) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
  });
}
