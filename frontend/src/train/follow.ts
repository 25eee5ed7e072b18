// A training that was asked for, from its first second until its run is there or it has failed.

import { useEffect, useState } from "preact/hooks";
import { ApiError, get } from "../api";
import type { Mistake, Training } from "./types";

export function useTraining(id: string | null): Training | null {
  const [training, setTraining] = useState<Training | null>(null);
  useEffect(() => {
    setTraining(null);
    if (!id) return;
    let timer = 0;
    const look = async () => {
      try {
        const found = await get<Training>(`/api/trainings/${encodeURIComponent(id)}`);
        setTraining(found);
        if (found.state === "starting") timer = window.setTimeout(() => void look(), 300);
      } catch (error) {
        setTraining({ state: "failed", seconds: 0, name: "", run: "", problem: (error as Error).message });
      }
    };
    void look();
    return () => clearTimeout(timer);
  }, [id]);
  return training;
}

// What a refusal says, one by one.
export function mistakesOf(error: unknown): Mistake[] {
  const told = error instanceof ApiError ? (error.told as { mistakes?: Mistake[] } | undefined) : undefined;
  return told?.mistakes ?? [{ text: (error as Error).message, settings: [] }];
}
