/** An object that can also be called as a function. A subclass adds methods. */
export abstract class Callable {
  constructor(call: (...args: never[]) => unknown) {
    // A constructor may return another object, which then becomes the instance and gets the private fields of the class.
    return Object.setPrototypeOf(call, new.target.prototype) as Callable
  }
}
