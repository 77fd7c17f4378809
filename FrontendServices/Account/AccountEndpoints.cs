using System.Globalization;
using FrontendServices.Sections;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Account;

public static class AccountEndpoints
{
    private const string Statuses = "/api/account/commands";
    private const int LargestBody = 64 * 1024;
    private static readonly string[] Themes = ["system", "light", "dark"];

    private sealed record AccountScreen(
        Section<AccountProfile> Profile, Section<IReadOnlyList<Address>> Addresses, Section<KnownPreferences> Preferences, Section<IReadOnlyList<Consent>> Consents);

    private static readonly SectionSet Sections = new(
        ("profile", typeof(AccountProfile)), ("addresses", typeof(IReadOnlyList<Address>)), ("preferences", typeof(KnownPreferences)), ("consents", typeof(IReadOnlyList<Consent>)));

    public static void MapAccount(this IEndpointRouteBuilder app)
    {
        var account = app.MapGroup("/api/account").WithTags("Account").WithMetadata(new RequestSizeLimitAttribute(LargestBody));
        account.MapGet("", GetAsync).WithSummary("Profile, addresses, preferences and consents of the token's customer").DescribeScreen<AccountScreen>();
        account.MapPut("/addresses/{type}", ChangeAddressAsync).WithSummary("Changes an address, or adds it")
            .WithDescription("Needs an Idempotency-Key: send the same one with every retry, and get the same answer. The Location of the 202 says what becomes of it.");
        account.MapGet("/commands/{id:guid}", ShowAsync).WithSummary("What became of a changed address");
        account.MapPut("/preferences", SetPreferencesAsync).WithSummary("Sets the preferences; with If-Match only when nobody else did in between");
        account.MapPut("/consents/{purpose}", SetConsentAsync).WithSummary("Gives or withdraws the consent to a purpose");
    }

    private static async Task<IResult> GetAsync(string? customer, HttpContext http, Screens screens, CustomersClient customers, AccountStore store)
    {
        if (!http.TryGetCustomer(customer, out var asked, out var refusal) || !screens.TryBegin(http, Sections, out var screen, out refusal))
        {
            return refusal;
        }
        using (screen)
        {
            var subject = $"customer:{asked}";
            var record = screen.Share(token => customers.GetAsync(asked, token));
            var missing = $"There is no customer {asked}.";
            screen.Add("profile", subject, "account:profile", async _ => await record.GetAsync() is { } found ? ToProfile(found) : null, missing);
            screen.Add("addresses", subject, "account:addresses", async _ => (await record.GetAsync())?.Addresses, missing);
            screen.Add<KnownPreferences>("preferences", subject, "account:preferences", async token => await store.GetPreferencesAsync(asked, token));
            screen.Add<IReadOnlyList<Consent>>("consents", subject, "account:consents", async token => await store.GetConsentsAsync(asked, token));
            return await screen.AnswerAsync();
        }
    }

    private static async Task<Results<Accepted<CommandStatus>, ProblemHttpResult>> ChangeAddressAsync(
        string type, string? customer, NewAddress address, HttpContext http, CustomersClient customers, CancellationToken ct)
    {
        if (!http.TryGetCustomer(customer, out var asked, out var refusal))
        {
            return refusal;
        }
        var key = http.Request.Headers[IdempotencyKey.Header] is { Count: > 0 } sent ? sent.ToString() : null;
        var status = await customers.ChangeAddressAsync(asked, type, address, key, ct);
        return TypedResults.Accepted($"{Statuses}/{status.Id}", status);
    }

    private static async Task<Results<Tagged<CommandStatus>, ProblemHttpResult>> ShowAsync(
        Guid id, HttpContext http, CustomersClient customers, SectionCache sections, CancellationToken ct)
    {
        if (await customers.GetCommandAsync(id, ct) is not { } status)
        {
            return TypedResults.Problem($"There is no command {id}.", statusCode: StatusCodes.Status404NotFound);
        }
        if (status.EndedAt is null)
        {
            http.Response.Headers.RetryAfter = "1";
        }
        else
        {
            sections.Evict($"customer:{status.CustomerId}");
        }
        return Tagged.Ok(status);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> SetPreferencesAsync(
        Preferences preferences, string? customer, HttpContext http, AccountStore store, SectionCache sections, CancellationToken ct)
    {
        if (!http.TryGetCustomer(customer, out var asked, out var refusal))
        {
            return refusal;
        }
        if (!Themes.Contains(preferences.Theme))
        {
            return Invalid.Field("theme", "Must be system, light or dark.");
        }
        if (preferences.Language is { } language && (language.Length is < 2 or > 35 || !language.All(sign => char.IsAsciiLetterOrDigit(sign) || sign is '-')))
        {
            return Invalid.Field("language", "Must be a BCP 47 tag such as de-AT.");
        }
        int? revision = null;
        if (http.Request.Headers.IfMatch is { Count: > 0 } match && match.ToString() is not "*")
        {
            if (!int.TryParse(match.ToString().Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var named))
            {
                return Invalid.Field("If-Match", "Must be the quoted revision of the preferences, such as \"3\".");
            }
            revision = named;
        }
        if (await store.SetPreferencesAsync(asked, preferences, revision, ct) is not { } now)
        {
            return TypedResults.Problem("The preferences were changed in between. Read them again and decide anew.", statusCode: StatusCodes.Status412PreconditionFailed);
        }
        sections.Evict($"customer:{asked}");
        http.Response.Headers.ETag = string.Create(CultureInfo.InvariantCulture, $"\"{now}\"");
        return TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> SetConsentAsync(
        string purpose, ConsentChange change, string? customer, HttpContext http, AccountStore store, SectionCache sections, CancellationToken ct)
    {
        if (!http.TryGetCustomer(customer, out var asked, out var refusal))
        {
            return refusal;
        }
        if (!AccountStore.Purposes.Contains(purpose))
        {
            return Invalid.Field("purpose", $"Must be {string.Join(", ", AccountStore.Purposes)}.");
        }
        if (change.TextVersion is not { Length: >= 1 and <= 40 } || !change.TextVersion.All(sign => char.IsAsciiLetterOrDigit(sign) || sign is '.' or '-'))
        {
            return Invalid.Field("textVersion", "Must be 1 to 40 letters, digits, dots and dashes.");
        }
        await store.AddConsentAsync(asked, purpose, change, http.User.FindFirst("client_id")?.Value, ct);
        sections.Evict($"customer:{asked}");
        return TypedResults.NoContent();
    }

    private static AccountProfile ToProfile(Customer customer) => new(
        customer.Id, customer.Salutation, customer.GivenName, customer.FamilyName, customer.Email, customer.Phone, customer.Language, customer.Loyalty, customer.FavouriteStoreId);
}
