// Where one is stands behind the # of the address: a link holds the whole view.

export type Query = URLSearchParams;

export interface Route {
  path: string[];
  query: Query;
}

export function route(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").map(decode), query: new URLSearchParams(query) };
}

// The same page with other values in its address; no step in the history for each letter typed.
export function go(page: string, query: Query, changes: Record<string, string | null>): void {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  history.replaceState(null, "", `#/${page}${text && `?${text}`}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
