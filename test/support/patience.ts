/**
 * How long a test waits for a state before it fails. Normally a state arrives within a second. A busy machine may take
 * many times as long, and only a hang must fail a test.
 */
export const PATIENCE_MS = 400_000
