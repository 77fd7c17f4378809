namespace MobileServices.Analytics.Journey;

/// <summary>What happens with a user from a push to an order; their numbers, from 1, are stored.</summary>
internal static class JourneySteps
{
    public static readonly string[] All = ["sent", "delivered", "opened", "synced", "ordered"];

    /// <returns>0 for what is no step.</returns>
    public static int NumberOf(string step) => Array.IndexOf(All, step) + 1;
}
