/** What the entries of a log of `tile-loader.js` say. */
export const leafText = (/** @type {number} */ index) => `entry ${index} of a bench`;
