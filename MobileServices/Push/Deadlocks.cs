using Npgsql;

namespace MobileServices.Push;

/// <summary>
/// What devices tell and what workers write down touch the same rows, and not always in one order. Of two transactions that wait for one another PostgreSQL rolls one
/// back (40P01), and that one begins again.
/// </summary>
internal static class Deadlocks
{
    private const int MostTries = 5;

    /// <param name="work">A transaction of its own each time.</param>
    public static async Task<T> AgainAsync<T>(Func<Task<T>> work)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await work();
            }
            catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.DeadlockDetected && tries < MostTries)
            {
                // The other one goes on meanwhile.
            }
        }
    }
}
