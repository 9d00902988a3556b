import type { Locator, Page } from 'playwright-core'

/** A task that one dashboard can do, or why it can't. */
export type Task = ((hand: Hand) => Promise<void>) | string

/** A dashboard that is served, with its tasks by name. */
export interface Dashboard {
  readonly url: string
  readonly version: string
  readonly tasks: Readonly<Record<TaskName, Task>>
  close(): Promise<unknown>
}

export const TASK_NAMES = [
  'Read why a run failed',
  'Read the log of that run',
  'Run it again',
  'Run all failed ones again',
  'Start a run with an input',
  'Cancel a run that is running',
  'Pause a job',
  'Let it go on',
  'Run five days again',
  'See who paused it, and why',
] as const
export type TaskName = (typeof TASK_NAMES)[number]

/** Does what a person would do with the mouse, and counts it: a click, a choice and a filled field are one step each. */
export class Hand {
  readonly page: Page
  steps = 0

  constructor(page: Page) {
    this.page = page
  }

  async click(target: Locator, modifiers: readonly 'Shift'[] = []): Promise<void> {
    this.steps += 1
    await target.click({ modifiers: [...modifiers] })
  }

  async fill(target: Locator, text: string): Promise<void> {
    this.steps += 1
    await target.fill(text)
  }

  async choose(target: Locator, value: string): Promise<void> {
    this.steps += 1
    await target.selectOption(value)
  }

  /** The click that changes something: waits until the server has done it. */
  async change(target: Locator): Promise<void> {
    const [response] = await Promise.all([
      this.page.waitForResponse((one) => one.request().method() !== 'GET'),
      this.click(target),
    ])
    if (!response.ok()) throw new Error(`${response.url()} answered ${response.status()}`)
  }
}
