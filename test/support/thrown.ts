import { isPikoError, type PikoError } from '../../src/errors.ts'

/** The PikoError that `act` throws. Rethrows any other error. */
export function thrown(act: () => unknown): PikoError {
  try {
    act()
  } catch (error) {
    if (isPikoError(error)) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** The same for a promise. */
export async function rejected(promise: Promise<unknown>): Promise<PikoError> {
  const error = await promise.then(
    () => new Error('the promise was fulfilled'),
    (reason: unknown) => reason,
  )
  if (isPikoError(error)) return error
  throw error
}
