interface Timeout {
  /** The time limit, in milliseconds. */
  readonly timeout?: number
}

type Event = 'load' | 'domcontentloaded' | 'networkidle'

/** Elements of an open page: a Playwright locator, with its most common methods. */
export interface BrowserLocator {
  click(options?: Timeout): Promise<void>
  dblclick(options?: Timeout): Promise<void>
  fill(value: string, options?: Timeout): Promise<void>
  press(key: string, options?: Timeout): Promise<void>
  hover(options?: Timeout): Promise<void>
  check(options?: Timeout): Promise<void>
  uncheck(options?: Timeout): Promise<void>
  selectOption(values: string | readonly string[], options?: Timeout): Promise<string[]>
  scrollIntoViewIfNeeded(options?: Timeout): Promise<void>
  waitFor(options?: Timeout & { readonly state?: 'attached' | 'detached' | 'visible' | 'hidden' }): Promise<void>
  count(): Promise<number>
  isVisible(): Promise<boolean>
  isEnabled(options?: Timeout): Promise<boolean>
  textContent(options?: Timeout): Promise<string | null>
  innerText(options?: Timeout): Promise<string>
  innerHTML(options?: Timeout): Promise<string>
  inputValue(options?: Timeout): Promise<string>
  getAttribute(name: string, options?: Timeout): Promise<string | null>
  allInnerTexts(): Promise<string[]>
  first(): BrowserLocator
  last(): BrowserLocator
  nth(index: number): BrowserLocator
  locator(selector: string): BrowserLocator
  all(): Promise<BrowserLocator[]>
}

/**
 * An open page of the browser: a Playwright page. This type has only the most common methods. If you need others, declare the parameter of
 * `drive` as `Page` of `playwright-core`.
 */
export interface BrowserPage {
  url(): string
  title(): Promise<string>
  content(): Promise<string>
  click(selector: string, options?: Timeout): Promise<void>
  fill(selector: string, value: string, options?: Timeout): Promise<void>
  press(selector: string, key: string, options?: Timeout): Promise<void>
  hover(selector: string, options?: Timeout): Promise<void>
  check(selector: string, options?: Timeout): Promise<void>
  selectOption(selector: string, values: string | readonly string[], options?: Timeout): Promise<string[]>
  textContent(selector: string, options?: Timeout): Promise<string | null>
  isVisible(selector: string): Promise<boolean>
  locator(selector: string): BrowserLocator
  getByText(text: string | RegExp): BrowserLocator
  getByLabel(text: string | RegExp): BrowserLocator
  getByPlaceholder(text: string | RegExp): BrowserLocator
  getByTestId(id: string | RegExp): BrowserLocator
  waitForSelector(selector: string, options?: Timeout): Promise<unknown>
  waitForLoadState(event?: Event, options?: Timeout): Promise<void>
  waitForURL(url: string | RegExp, options?: Timeout): Promise<void>
  waitForTimeout(ms: number): Promise<void>
  /** Evaluates a function or an expression in the page. The result must be JSON. */
  evaluate<Result>(fn: string | (() => Result | Promise<Result>)): Promise<Result>
  evaluate<Result, Argument>(
    fn: string | ((argument: Argument) => Result | Promise<Result>),
    argument: Argument,
  ): Promise<Result>
  setViewportSize(size: { readonly width: number; readonly height: number }): Promise<void>
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> }
  readonly mouse: {
    click(x: number, y: number): Promise<void>
    move(x: number, y: number): Promise<void>
    wheel(deltaX: number, deltaY: number): Promise<void>
  }
}
