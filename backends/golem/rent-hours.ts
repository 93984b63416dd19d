/**
 * Hours of a rental for the SDK, which wants them back as whole seconds (`hours * 60 * 60`) and refuses a demand where
 * that product is no integer: so it is for a fifth of all numbers of seconds. At most ten seconds more than asked for.
 */
export function rentHours(seconds: number): number {
  const hours = seconds / 3_600;
  return Number.isInteger(hours * 60 * 60) ? hours : rentHours(seconds + 1);
}
