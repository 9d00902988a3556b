import { DEADLINE, type HeartbeatMemory, TRUSTED_UNTIL } from '../store/heartbeat-memory.ts'

/**
 * What this node and the thread that renews its lease know in common, in memory that both see: a message would come too late
 * to an event loop that was blocked.
 *
 * A loop that is blocked keeps its lease on purpose. A run that blocks it past its timeout must not: no timer can end it.
 */
export class LeaseMemory {
  readonly shared: HeartbeatMemory = new BigInt64Array(new SharedArrayBuffer(16))

  /** Whether the lease is this node's for sure. */
  get isHeld(): boolean {
    return process.hrtime.bigint() < Atomics.load(this.shared, TRUSTED_UNTIL)
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
