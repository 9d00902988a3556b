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
 * State that this node shares with the thread that renews its lease. It is in shared memory, because a message would reach a blocked event
 * loop too late.
 *
 * A node with a blocked loop keeps its lease for a while, on purpose. But if a run blocks the loop longer than the run's timeout, the node
 * must give up the lease, because no timer can end that run.
 */
export class LeaseMemory {
  readonly shared: HeartbeatMemory = new BigInt64Array(new SharedArrayBuffer(BYTES))

  /** Whether this node certainly still holds the lease. */
  get isHeld(): boolean {
    return process.hrtime.bigint() < Atomics.load(this.shared, TRUSTED_UNTIL)
  }

  /** Records that the event loop is not blocked. */
  beat(): void {
    Atomics.store(this.shared, DEBUGGED, inspector.url() === undefined ? 0n : 1n)
    Atomics.add(this.shared, BEATS, 1n)
  }

  /** Begins a lease now. */
  begin(leaseMs: number): void {
    Atomics.store(this.shared, TRUSTED_UNTIL, fromNow(leaseMs))
  }

  /**
   * Sets the time limit of a blocked event loop.
   * @param ms how long a blocked loop may keep the lease; undefined: for `[piko] max_block`
   */
  setDeadline(ms: number | undefined): void {
    Atomics.store(this.shared, DEADLINE, ms === undefined ? 0n : fromNow(ms))
  }
}

function fromNow(ms: number): bigint {
  return process.hrtime.bigint() + BigInt(Math.ceil(ms)) * 1_000_000n
}
