/** Every wait of the embedded stack is bounded; these are the bounds, each with the reason for its number. */

/** PostgreSQL after a crash replays its log before it answers; a laptop's worst case is well below this. */
export const POSTGRES_READY_MS = 120_000;
/** initdb writes 40 MB and syncs it; slow disks take tens of seconds. */
export const INITDB_MS = 120_000;
/** One statement without a server, after what a crash left to replay. */
export const SINGLE_USER_MS = 120_000;
/** A fast shutdown only writes a checkpoint. */
export const POSTGRES_STOP_MS = 20_000;
/** SIGQUIT asks PostgreSQL to stop without a checkpoint; it does so at once or not at all. */
export const POSTGRES_QUIT_MS = 5_000;
/** Backends of a killed postmaster notice its death within a second; until then their memory blocks a new start. */
export const POSTGRES_ORPHANS_MS = 20_000;
/** A port may be taken between the check and the bind; each try takes another one. */
export const PORT_TRIES = 3;

/** The dev server is ready in 2-4 s, on a loaded machine in 20. */
export const TEMPORAL_READY_MS = 60_000;
export const TEMPORAL_STOP_MS = 10_000;
/** `temporal --version` of a cold 195 MB binary. */
export const TEMPORAL_VERSION_MS = 15_000;
/** A network that cannot reach the vendor must not cost a newcomer more than this. */
export const DOWNLOAD_CONNECT_MS = 5_000;
/** 60 MB over a slow line, as long as bytes arrive. */
export const DOWNLOAD_TOTAL_MS = 240_000;
export const DOWNLOAD_STALL_MS = 15_000;
/** The build takes 2-3 minutes on two cores; a slow machine with a slow module proxy ten times that. */
export const BUILD_MS = 1_800_000;
/** Another start that builds the same binary is waited for as long as a build may take. */
export const BUILD_LOCK_MS = BUILD_MS;

/** A role connects to PostgreSQL and Temporal, loads its workflow bundle and says ready. */
export const ROLE_READY_MS = 60_000;
/** Shutdown grace of a role (spec: 30 s on SIGINT or SIGTERM). */
export const ROLE_STOP_MS = 30_000;
/** After the kill signal the kernel needs a moment to reap. */
export const KILL_MS = 5_000;
/** First pause before a fallen process is started again, doubled up to the limit, forgotten after a steady minute. */
export const RESTART_FIRST_MS = 250;
export const RESTART_LIMIT_MS = 10_000;
export const RESTART_STEADY_MS = 60_000;

/** One log file; with its predecessor at most twice this per process. */
export const LOG_FILE_BYTES = 10 * 1024 * 1024;
export const LOG_CHECK_MS = 5_000;

/** A lock just taken is looked at again after this, so that two take-overs at one instant cannot both stand. */
export const LOCK_SETTLE_MS = 30;
