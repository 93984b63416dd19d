const CPU = /^(\d+(?:\.\d+)?)(m?)$/;
const MEMORY = /^(\d+(?:\.\d+)?)\s*([kKMGT]i?|[kKMGT]?[bB])?$/;
const POWER: Record<string, number> = { k: 1, m: 2, g: 3, t: 4 };

/** `1000m`, `2`, `0.5` → cores; null when it is none of these. */
export function parseCpus(text: string): number | null {
  const match = CPU.exec(text.trim());
  if (match === null) return null;
  return Number(match[1]) / (match[2] === 'm' ? 1_000 : 1);
}

/** `512Mi`, `512M`, `1GB`, `1048576` → bytes; null when it is none of these. */
export function parseMemory(text: string): number | null {
  const match = MEMORY.exec(text.trim());
  if (match === null) return null;
  const unit = (match[2] ?? '').toLowerCase().replace(/b$/, '');
  const base = unit.endsWith('i') ? 1_024 : 1_000;
  return Math.floor(Number(match[1]) * base ** (POWER[unit.charAt(0)] ?? 0));
}

/** What a job asks for within what the operator allows; applied as written, capped. */
export function capped(asked: number | null, normal: number, least: number, most: number): number {
  return Math.min(Math.max(asked ?? normal, least), most);
}
