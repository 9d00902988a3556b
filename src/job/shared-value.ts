import type { Clock } from '../clock.ts'

/** A value with its version. */
export interface SharedVersion<T> {
  readonly value: T
  /** The number of the version: 1 for the initial value; each publication adds 1. */
  readonly version: number
}

/** One stored version of a shared value. */
export interface SharedRecord {
  readonly topic: string
  readonly version: number
  /** The stored value, which the schema has not parsed. */
  readonly value: unknown
  readonly reason: string | undefined
  /** The node that published the version. Undefined if the process had no node. */
  readonly nodeId: string | undefined
  readonly createdAt: Date
}

/** Why a value is published. At most 500 characters are stored. */
export interface SharedReason {
  readonly reason?: string
}

export interface SharedWait {
  /** Aborting this signal ends the wait. In a handler, the run's own signal also ends it. */
  readonly signal?: AbortSignal
}

export interface SharedHistory {
  /** The maximum number of versions. Default 20, at most 100. */
  readonly limit?: number
  /** Returns only versions before this one, such as the last one of the previous page. */
  readonly before?: number
}

/**
 * A process's access to a value that all nodes share.
 *
 * @typeParam T the output of the schema
 * @typeParam I the input of the schema
 */
export interface SharedHandle<T, I = T> {
  readonly topic: string
  /** The newest version that the schema of this process accepts. Plain objects and lists in it are frozen. */
  readonly value: T
  /** The version of `value`. It never decreases. 1 means the initial value. */
  readonly version: number
  /**
   * Adds a version after the schema has accepted the value. This process uses it immediately. Other nodes use it within milliseconds if
   * they can be notified, otherwise within `[piko] poll_interval`.
   *
   * @returns the new version
   * @throws PikoError `SHARED_INVALID` with every problem, `SHARED_CONTENDED`
   */
  publish(value: I, options?: SharedReason): Promise<number>
  /**
   * Computes the next value from the newest one with `fn`, and publishes it. If another process has published first, calls `fn` again, at
   * most 16 times, so `fn` must have no other effect.
   *
   * @returns the new version
   * @throws PikoError `SHARED_CONTENDED` after 16 tries, `SHARED_INVALID`; any error of `fn`
   */
  update(fn: (value: T) => I | Promise<I>, options?: SharedReason): Promise<number>
  /**
   * Resolves with the next value that this method has not returned yet. Resolves immediately if a value was published since this handle was
   * created, or since the last call. If several were published, returns only the newest.
   *
   * @throws the reason of the signal; PikoError `STOPPED` when the app stops
   */
  changed(options?: SharedWait): Promise<T>
  /**
   * Yields the current value, and then each newer one. A slow reader skips versions and receives the latest. The loop ends when the signal
   * aborts or the app stops.
   */
  watch(options?: SharedWait): AsyncGenerator<SharedVersion<T>, void, void>
  /**
   * Reads the newest stored version immediately, without waiting for the poll.
   *
   * @returns its version
   */
  refresh(): Promise<number>
  /**
   * Returns stored versions, newest first.
   *
   * @throws PikoError `USAGE`
   */
  history(options?: SharedHistory): Promise<SharedRecord[]>
  /**
   * Publishes the content of an earlier version again.
   *
   * @returns the new version
   * @throws PikoError `SHARED_UNKNOWN` if that version is no longer stored, `SHARED_INVALID`, `SHARED_CONTENDED`
   */
  rollback(version: number, options?: SharedReason): Promise<number>
}

/** A stored version, as a node reads it. */
export interface SharedText {
  readonly version: number
  /** The value as JSON text. */
  readonly text: string
}

/** What a shared value needs from an app. */
export interface SharedReach {
  readonly clock: Clock
  /** The maximum size of the JSON text, in bytes. */
  readonly maxBytes: number
  /** Aborts when the app stops. */
  readonly stopped: AbortSignal
  /** Reads the newest version, and passes it to all users of the topic. */
  refresh(topic: string): Promise<void>
  /** Stores a version. @returns false if that version, or a newer one, is already stored */
  append(row: SharedText & SharedReason & { readonly topic: string; readonly keep: number }): Promise<boolean>
  /** Returns stored versions, newest first. */
  history(topic: string, limit: number, before?: number): Promise<SharedRecord[]>
  /** Returns the text of one version; undefined if it is not stored. */
  find(topic: string, version: number): Promise<string | undefined>
  changed(topic: string, version: number): void
  refused(topic: string, version: number, inForce: number, error: Error): void
}

/** A shared value in one app. It receives the stored versions and creates handles. */
export interface SharedTopic<T, I> {
  /** The newest stored version that this process refuses, with the reason. */
  readonly refusal: { readonly version: number; readonly error: Error } | undefined
  /** Uses a stored version, unless a newer one is already known. */
  take(stored: SharedText): void
  /**
   * Creates a handle.
   *
   * @param signal ends all waits of the handle
   */
  handle(signal?: AbortSignal): SharedHandle<T, I>
}

/** The definition of a shared value; see `defineShared` of `piko/sync`. */
export interface SharedDefinition<T, I = T> {
  readonly topic: string
  /** @internal */
  open(reach: SharedReach): SharedTopic<T, I>
}

/** The definitions in this process. Apps read their values before any run begins. */
export const sharedDefinitions = new Set<SharedDefinition<unknown, never>>()
