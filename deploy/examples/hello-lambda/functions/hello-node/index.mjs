export const handler = async (event) => {
  const name = event.queryStringParameters?.name;
  return { message: name ? `Hello from Lambda, ${name}!` : "Hello from Lambda!" };
};
