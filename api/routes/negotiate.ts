/** Whether `Accept` asks for text/plain rather than JSON (RFC 9110 §12.5.1); on a tie, and when it says nothing, JSON. */
export function prefersText(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  return (
    weight(accept, ['text/plain', 'text/*', '*/*']) >
    weight(accept, ['application/json', 'application/*', '*/*'])
  );
}

/** The weight of the most specific of `names` (most specific first) that `accept` has; 0 for none. */
function weight(accept: string, names: readonly string[]): number {
  const ranges = accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice('q='.length);
    return { type, q: q === undefined ? 1 : /^[01](\.\d{0,3})?$/.test(q) ? Number(q) : 0 };
  });
  for (const name of names) {
    const found = ranges.find(({ type }) => type === name);
    if (found !== undefined) return found.q;
  }
  return 0;
}
