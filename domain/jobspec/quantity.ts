/** Amounts of CPU and memory as container specs write them. */
const CPU = /^(?:(\d{1,9})m|(\d{1,6}(?:\.\d{1,3})?))$/;
const MEMORY = /^(\d{1,15})(Ki|Mi|Gi|Ti|k|K|M|G|T)?$/;
const MEMORY_UNIT: Record<string, number> = {
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
};

/** Thousandths of a core in "500m", "1", "0.5"; undefined for anything else and for zero. */
export function parseCpu(text: string): number | undefined {
  const match = CPU.exec(text);
  if (match === null) return undefined;
  const millis = match[1] === undefined ? Math.round(Number(match[2]) * 1_000) : Number(match[1]);
  return millis > 0 ? millis : undefined;
}

/** Bytes in "256Mi", "1Gi", "512M", "1048576"; undefined for anything else, for zero and beyond exact integers. */
export function parseMemory(text: string): number | undefined {
  const match = MEMORY.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (match[2] === undefined ? 1 : MEMORY_UNIT[match[2]]!);
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined;
}
