/**
 * How long a test waits for a state before it gives up. Normally each comes within a second; a machine with other work may take
 * many times as long, and only a hang shall fail a test.
 */
export const PATIENCE_MS = 120_000
