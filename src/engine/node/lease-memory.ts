import inspector from 'node:inspector'
import {
  BEATS,
  BYTES,
  DEADLINE,
  DEBUGGED,
  type HeartbeatMemory,
  TRUSTED_UNTIL,
} from '../../store/nodes/heartbeat-memory.ts'

/**
 * What this node and the thread that renews its lease know in common, in memory that both see: a message would come too late
 * to an event loop that was blocked.
 *
 * A loop that is blocked keeps its lease on purpose, for a while. A run that blocks it past its timeout must not: no timer can end it.
 */
export class LeaseMemory {
  readonly shared: HeartbeatMemory = new BigInt64Array(new SharedArrayBuffer(BYTES))

  /** Whether the lease is this node's for sure. */
  get isHeld(): boolean {
    return process.hrtime.bigint() < Atomics.load(this.shared, TRUSTED_UNTIL)
  }

  /** The event loop turns. */
  beat(): void {
    Atomics.store(this.shared, DEBUGGED, inspector.url() === undefined ? 0n : 1n)
    Atomics.add(this.shared, BEATS, 1n)
  }

  /** A lease begins now. */
  begin(leaseMs: number): void {
    Atomics.store(this.shared, TRUSTED_UNTIL, fromNow(leaseMs))
  }

  /** @param ms until the lease is to be given up should the loop still be blocked then; undefined: never */
  setDeadline(ms: number | undefined): void {
    Atomics.store(this.shared, DEADLINE, ms === undefined ? 0n : fromNow(ms))
  }
}

function fromNow(ms: number): bigint {
  return process.hrtime.bigint() + BigInt(Math.ceil(ms)) * 1_000_000n
}
