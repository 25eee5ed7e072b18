// Light, dark, or what the system says. Drawings whose colours are pixels ask which it is.

import { useEffect, useState } from "preact/hooks";

export type Theme = "system" | "light" | "dark";
const KEY = "steepest-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosen: Theme = "system";

// A page that is a file may be shown where nothing can be kept, as within a mail.
const storage = (() => {
  try {
    return localStorage;
  } catch {
    return null;
  }
})();

export function theme(): Theme {
  const kept = storage?.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : chosen;
}

export function setTheme(wanted: Theme): void {
  chosen = wanted;
  storage?.setItem(KEY, wanted);
  apply();
}

export function isDark(): boolean {
  return theme() === "dark" || (theme() === "system" && system.matches);
}

export function apply(): void {
  document.documentElement.dataset["theme"] = isDark() ? "dark" : "light";
  listeners.forEach((tell) => tell());
}

system.addEventListener("change", apply);

export function useDark(): boolean {
  const [dark, setDark] = useState(isDark());
  useEffect(() => {
    const tell = () => setDark(isDark());
    listeners.add(tell);
    return () => void listeners.delete(tell);
  }, []);
  return dark;
}
