using System.Text.RegularExpressions;

namespace MobileServices.Identity.Accounts;

/// <summary>What an account must be like.</summary>
internal static partial class AccountRules
{
    public const int LongestName = 100;
    private const int ShortestPassword = 12;

    public static string? CheckName(string name) =>
        NamePattern().IsMatch(name) ? null : "Must be 1 to 100 letters, digits and . _ @ + -, beginning with a letter or digit.";

    public static Dictionary<string, string[]> Check(string name, AccountChange change)
    {
        var errors = new Dictionary<string, string[]>();
        if (CheckName(name) is { } error)
        {
            errors["name"] = [error];
        }
        if (change.DisplayName is not { Length: > 0 and <= 200 } || change.DisplayName.Any(char.IsControl))
        {
            errors["displayName"] = ["Must be 1 to 200 characters, none of them control characters."];
        }
        if (change.Email is { } email && (email.Length > 254 || !EmailPattern().IsMatch(email)))
        {
            errors["email"] = ["Must be an e-mail address of at most 254 characters, or be left out."];
        }
        if (change.CustomerId is { } customer && !CustomerPattern().IsMatch(customer))
        {
            errors["customerId"] = ["Must be a customer id such as C-000123, or be left out."];
        }
        if (change.Password is { Length: < ShortestPassword or > AccountStore.LongestPassword })
        {
            errors["password"] = [$"Must be {ShortestPassword} to {AccountStore.LongestPassword} characters."];
        }
        return errors;
    }

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^C-[0-9]{6}\z", RegexOptions.CultureInvariant)]
    private static partial Regex CustomerPattern();

    [GeneratedRegex(@"^[^\s@\p{C}]+@[^\s@\p{C}]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex EmailPattern();
}
