/** Where the stack tells what it does: `say` for a fact that stays, `update` for the state of a step under way. */
export interface Progress {
  say(line: string): void;
  update(line: string): void;
}

export const silentProgress: Progress = { say: () => undefined, update: () => undefined };

/** Without a terminal an update is a line of its own, so only now and then. */
const PLAIN_UPDATE_MS = 10_000;

/** Progress on a stream: updates rewrite their line on a terminal, elsewhere one in ten seconds is printed. */
export function streamProgress(stream: NodeJS.WriteStream): Progress {
  let open = false;
  let lastUpdateMs = Date.now();
  return {
    say(line) {
      stream.write(`${open ? '\r\u001b[2K' : ''}${line}\n`);
      open = false;
      lastUpdateMs = Date.now();
    },
    update(line) {
      if (stream.isTTY) {
        stream.write(`\r\u001b[2K${line.slice(0, stream.columns - 1)}`);
        open = true;
      } else if (Date.now() - lastUpdateMs >= PLAIN_UPDATE_MS) {
        stream.write(`${line}\n`);
        lastUpdateMs = Date.now();
      }
    },
  };
}

/** Calls `update` with the elapsed seconds until the returned handle is disposed. */
export function ticking(progress: Progress, line: (seconds: number) => string, everyMs = 500): Disposable {
  const began = performance.now();
  const show = () => progress.update(line(Math.round((performance.now() - began) / 1000)));
  show();
  const timer = setInterval(show, everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
