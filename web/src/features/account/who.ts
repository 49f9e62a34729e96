import type { Whoami } from "../../api/types.ts";

export function nameOfWho({ email, subject }: Pick<Whoami, "email" | "subject">): string {
  return email || subject;
}

/** As whom clusters see somebody, in a word or two. */
export function rightsOf({ authzMode, tier }: Pick<Whoami, "authzMode" | "tier">): string {
  if (authzMode === "tier") return tier ? `tier: ${tier}` : "no tier";
  return authzMode === "shared" ? "server’s rights" : "own groups";
}
